/** The worker's side of `pool.js`. */

/** Answer messages {id, task, ...} in order, one at a time, by functions with the tasks' names. */
export function answerTasks(tasks) {
  let last = Promise.resolve();
  self.onmessage = ({data: {id, task, ...details}}) => {
    last = last.then(async () => {
      try {
        postMessage({id, value: await tasks[task](details)});
      } catch (error) {
        postMessage({id, error: String(error?.message ?? error)});
      }
    });
  };
}
