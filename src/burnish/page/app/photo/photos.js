/** Opens and saves photos, by a worker that is replaced after each photo saved. */

import {TaskWorker} from '../engine/pool.js';
import {fitsJpeg} from './jpeg.js';
import {addRecord, resetXmp} from './xmp.js';

/** Largest photo that the page opens; the command has no such limit. */
export const MAX_PIXELS = 50_000_000;
const START_SECONDS = 20;

let lastId = 0;

export class Photos {
  /** @param {{libraries: string, srgb: Uint8Array}} start */
  constructor(start) {
    this.start = start;
  }

  /** Start the worker, so that the first photo opens sooner. */
  prepare() {
    if (this.worker && !this.worker.failure) return this.ready;
    const worker = new TaskWorker(new URL('./photo.worker.js', import.meta.url));
    this.worker = worker;
    const late = setTimeout(() => worker.fail(new Error('the part of the page that reads photos does not start; reload the page')),
      1000 * START_SECONDS);
    this.ready = worker.call('start', this.start).finally(() => clearTimeout(late));
    this.ready.catch(() => worker.worker.terminate());
    return this.ready;
  }

  /**
   * Open a photo.
   * @returns {Promise<{name: string, image: import('../engine/model.js').Image, metadata: object,
   *   warnings: string[]}>}
   */
  async open(file) {
    const bytes = await file.arrayBuffer().catch(() => {
      throw new Error('the file cannot be read; choose it again');
    });
    await this.prepare();
    const {codes, metadata, warnings} = await this.worker.call('open', {bytes, maxPixels: MAX_PIXELS}, [bytes]);
    if (metadata.xmp) metadata.xmp = resetXmp(metadata.xmp);
    const {height, width} = codes;
    return {name: file.name, image: {height, width, codes: {...codes, id: ++lastId}}, metadata, warnings};
  }

  /**
   * Return an edited photo as a file of its own format.
   * @param {SharedArrayBuffer} buffer the edited codes
   * @param {string} record of the edit, JSON
   * @returns {Promise<{file: Uint8Array, warnings: string[]}>}
   */
  async encode(photo, buffer, record) {
    const warnings = [];
    let {xmp} = photo.metadata;
    try {
      const packet = addRecord(xmp, record);
      if (photo.metadata.format === 'jpeg' && !fitsJpeg(packet)) throw new Error('it is too long');
      xmp = packet;
    } catch (error) {
      warnings.push(`its XMP stays unchanged, without the history of edits (${error.message})`);
    }
    await this.prepare();
    const codes = {...photo.image.codes, buffer};
    const file = await this.worker.call('encode', {codes, metadata: {...photo.metadata, xmp}});
    this.renew();
    return {file, warnings};
  }

  async encodeMask(mask, height, width) {
    await this.prepare();
    return this.worker.call('encodeMask', {mask: mask.buffer, height, width});
  }

  /** End the worker, whose memory only grows, and start another one. */
  renew() {
    this.worker?.end();
    this.worker = null;
    this.prepare();
  }
}
