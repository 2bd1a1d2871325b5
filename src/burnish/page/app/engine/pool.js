/** Workers, and the calls of their tasks. */

/** A worker whose tasks are called like functions that return promises. */
export class TaskWorker {
  /** @param {URL} url of a module that answers {id, task, ...} with {id, value} or {id, error} */
  constructor(url) {
    this.worker = new Worker(url, {type: 'module'});
    this.waiting = new Map();
    this.next = 0;
    this.worker.onmessage = ({data: {id, value, error}}) => {
      const {resolve, reject} = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.fail(new Error(event.message || 'a worker of the page cannot be loaded'));
    };
  }

  call(task, details = {}, transfer = []) {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.waiting.set(id, {resolve, reject});
      this.worker.postMessage({id, task, ...details}, transfer);
    });
  }

  fail(error) {
    this.failure = error;
    for (const {reject} of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  end() {
    this.worker.terminate();
    this.fail(new DOMException('the worker was ended', 'AbortError'));
  }
}

/** Several network workers, which share jobs. */
export class Pool {
  /**
   * @param {number} size number of workers
   * @param {{libraries: string, srgb: Uint8Array}} start
   */
  constructor(size, start) {
    const url = new URL('./network.worker.js', import.meta.url);
    this.workers = Array.from({length: size}, () => new TaskWorker(url));
    this.ready = Promise.all(this.workers.map((worker) => worker.call('start', start)));
    this.ready.catch(() => {});
    /** The networks that the workers have opened or are opening, by address. */
    this.opened = new Map();
  }

  get size() {
    return this.workers.length;
  }

  /** Open a network in all workers. It is loaded once. */
  async open(url) {
    if (!this.opened.has(url)) {
      const opening = (async () => {
        const graph = await load(url);
        await this.ready;
        await Promise.all(this.workers.map((worker) => worker.call('open', {key: url, graph})));
      })();
      opening.catch(() => this.opened.delete(url));
      this.opened.set(url, opening);
    }
    return this.opened.get(url);
  }

  /**
   * Call a task for each of some details, in order, on whichever worker is free.
   * @param {AbortSignal} [signal] stops before the next job
   * @param {() => void} [onDone] called after each job
   */
  async map(task, jobs, signal, onDone = () => {}) {
    await this.ready;
    const queue = [...jobs];
    await Promise.all(this.workers.map(async (worker) => {
      for (let job; (job = queue.shift());) {
        signal?.throwIfAborted();
        await worker.call(task, job);
        onDone();
      }
    }));
    signal?.throwIfAborted();
  }
}

/** Load a file of the page. */
export async function load(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) {
    throw new Error('a file of this page could not be loaded; connect to the network once to use it');
  }
  return response.arrayBuffer();
}
