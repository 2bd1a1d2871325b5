/** Run an operator's networks on an image, as `burnish apply --guide network` does. */

import {cascadeSteps, valueAtSize} from './cascade.js';
import {TileGrid, planTiles} from './tiles.js';

/**
 * An image that workers read: a photo's codes, or float sRGB pixels (height, width, 3).
 * `levels` holds its resized copies by size, which do not depend on an operator.
 * @typedef {object} Image
 * @property {number} height
 * @property {number} width
 * @property {import('../photo/codes.js').Codes} [codes]
 * @property {SharedArrayBuffer} [pixels]
 * @property {Map<string, Promise<Image>>} [levels]
 * @property {{key: string, result: object}} [coarse] the last result of the level below the image's
 */

/**
 * The settings of an edit that the networks depend on.
 * @typedef {{operator: string, values: Record<string, number>}} Settings
 */

const MAX_TILE_PIXELS = 1_500_000;
const SMALL_TILE_PIXELS = 1_000_000;

export class Engine {
  /** @param {import('./pool.js').Pool} pool @param {{operators: Record<string, object>}} cards */
  constructor(pool, cards) {
    this.pool = pool;
    this.cards = cards;
    // Phones end tabs that take much memory.
    const isSmall = (navigator.deviceMemory ?? 8) < 4 || matchMedia('(pointer: coarse)').matches;
    this.maxPixels = isSmall ? SMALL_TILE_PIXELS : MAX_TILE_PIXELS;
  }

  /** Return a copy of an image, resized by area; the image itself if it has that size. */
  resized(image, size) {
    if (size[0] === image.height && size[1] === image.width) return Promise.resolve(image);
    image.levels ??= new Map();
    const key = size.join('x');
    if (!image.levels.has(key)) {
      const level = this.resize(image, size);
      level.catch(() => image.levels.delete(key));
      image.levels.set(key, level);
    }
    return image.levels.get(key);
  }

  async resize(image, size) {
    const [height, width] = size, output = new SharedArrayBuffer(12 * height * width);
    const bands = Math.min(height, 4 * this.pool.size);
    const edge = (i) => Math.floor((height * i) / bands);
    const source = plain(image);
    await this.pool.map('resize', Array.from({length: bands}, (_, i) => (
      {image: source, size, output, top: edge(i), bottom: edge(i + 1)})));
    return {height, width, pixels: output};
  }

  /** Return the values of an operator's sliders, in the card's order, for a copy k times as large. */
  params(settings, k) {
    return this.cards.operators[settings.operator].params
      .filter((param) => param.slider)
      .map((param) => valueAtSize(param, settings.values[param.name] ?? param.value, k));
  }

  /** Load an operator's networks, but for that of previews, so that the first run starts sooner. */
  prepare(operator) {
    return Promise.all(Object.values(this.cards.operators[operator].files).map((url) => this.pool.open(url)));
  }

  /**
   * Run an operator on an image.
   * @param {Image} image
   * @param {Settings} settings
   * @param {object} options
   * @param {number} [options.ratio] size of the image divided by the photo's [default: 1]
   * @param {'preview' | 'standard'} [options.quality] of the network [default: standard]
   * @param {object} [options.edit] for codes: strength and mask; without it the result is pixels
   * @param {import('./tiles.js').Rectangle} [options.part] compute only this part of the result
   * @param {AbortSignal} [options.signal]
   * @param {(fraction: number, tile: import('./tiles.js').Tile) => void} [options.onTile] called after
   *     each tile of the last level
   * @returns {Promise<SharedArrayBuffer>} codes like the photo's, or pixels (height, width, 3)
   */
  async run(image, settings, {ratio = 1, quality = 'standard', edit, part, signal, onTile} = {}) {
    const operator = this.cards.operators[settings.operator];
    const card = quality === 'preview' ? operator.preview_network : operator;
    const steps = cascadeSteps(card, [image.height, image.width]);
    const thumbnailSize = (card.guide?.start ?? card).thumbnail_size;
    const thumbnail = thumbnailSize
      ? (await this.resized(image, [thumbnailSize, thumbnailSize])).pixels : null;
    const key = JSON.stringify([settings.operator, quality, this.params(settings, ratio)]);
    const cached = image.coarse?.key === key;
    let coarse = cached ? image.coarse.result : null, output = null;
    for (const [index, step] of steps.entries()) {
      signal?.throwIfAborted();
      if (cached && index < steps.length - 1) continue;
      const last = index === steps.length - 1, [height, width] = step.size;
      const level = await this.resized(image, step.size);
      const url = card.files[step.part];
      await this.pool.open(url);
      const network = step.part === 'start' ? card.guide.start : card;
      const job = {
        key: url,
        image: plain(level),
        network: {
          thumbnail_size: step.part === 'start' || !card.guide ? network.thumbnail_size : 0,
          coords: network.coords,
          size_multiple: network.size_multiple,
        },
        params: this.params(settings, ratio * step.ratio),
        thumbnail,
        coarse,
      };
      const grid = new TileGrid(height, width, network.halo, network.size_multiple);
      if (last && edit) {
        output = new SharedArrayBuffer(image.codes.buffer.byteLength);
        Object.assign(job, {edit, output});
      } else {
        const place = last && part ? part : {top: 0, left: 0, bottom: height, right: width};
        const size = {height: place.bottom - place.top, width: place.right - place.left};
        output = new SharedArrayBuffer(12 * size.height * size.width);
        job.output = {pixels: output, top: place.top, left: place.left, ...size};
      }
      const tiles = last && part ? [grid.around(part)] : planTiles(grid, this.tileLimit(grid));
      let done = 0;
      await this.pool.map('tile', tiles.map((tile) => ({...job, tile})), signal,
        () => { if (last) onTile?.(++done / tiles.length); });
      if (last) break;
      coarse = {pixels: output, height, width};
      if (index === steps.length - 2) image.coarse = {key, result: coarse};
    }
    return output;
  }

  /** Return the largest area of a tile: small enough that every worker gets one. */
  tileLimit(grid) {
    const share = (grid.paddedHeight * grid.paddedWidth * 1.3) / this.pool.size;
    return Math.max(grid.minPixels, Math.min(this.maxPixels, share));
  }

  /** Return a rectangle of a photo as sRGB pixels. */
  async pixels(image, rectangle) {
    const area = (rectangle.bottom - rectangle.top) * (rectangle.right - rectangle.left);
    const output = new SharedArrayBuffer(12 * area);
    await this.pool.map('read', [{image: plain(image), rectangle, output}]);
    return output;
  }
}

/** Return what workers need of an image; promises cannot be sent. */
const plain = ({height, width, codes, pixels}) => ({height, width, codes, pixels});
