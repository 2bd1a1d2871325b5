/** Convert between the codes that a photo's file stores and sRGB pixels from 0 to 1. */

import {Converter, parseProfile, rint} from './colour.js';

const f = Math.fround;

/**
 * The codes of an upright photo, in memory that all workers share.
 * @typedef {object} Codes
 * @property {number} id differs between photos
 * @property {SharedArrayBuffer} buffer (height, width, bands); alpha is the last band
 * @property {number} height
 * @property {number} width
 * @property {number} bands 1 to 4
 * @property {8 | 16} depth bits a channel
 * @property {Uint8Array | null} profile ICC; null means sRGB
 */

/** Return the converter of a profile; null if the colours are sRGB. */
function converterOf(profile, srgbProfile) {
  const srgb = profile && parseProfile(srgbProfile), parsed = profile && parseProfile(profile, srgb);
  const converter = parsed && new Converter(parsed, srgb);
  return converter?.isSrgb() ? null : converter;
}

export const samples = (buffer, depth) => (depth === 16 ? new Uint16Array(buffer) : new Uint8Array(buffer));

/** Reads sRGB pixels from codes, and writes edited ones as codes. */
export class CodeAccess {
  /** @param {Codes} codes @param {Uint8Array} srgbProfile libvips' own profile of sRGB */
  constructor(codes, srgbProfile) {
    const {depth, bands} = codes;
    this.codes = codes;
    this.data = samples(codes.buffer, depth);
    this.colours = bands < 3 ? 1 : 3;
    this.maxCode = 2 ** depth - 1;
    this.values = Float32Array.from({length: this.maxCode + 1}, (_, i) => i / this.maxCode);
    this.converter = converterOf(codes.profile, srgbProfile);
    if (this.converter) this.light = this.converter.lightOfCodes(depth === 16 ? 1 : 257);
  }

  /**
   * Write the sRGB pixels of a part of a row.
   * @param {number} at position of the first pixel's red in `out`
   * @param {number} step from a pixel to the next
   * @param {number} stride from a colour to the next
   */
  readRow(y, left, right, out, at, step, stride) {
    const {data, values, converter, codes: {bands, width}, colours} = this;
    let source = (y * width + left) * bands;
    const green = colours === 3 ? 1 : 0, blue = 2 * green;
    if (!converter) {
      for (let x = left; x < right; x++, source += bands, at += step) {
        out[at] = values[data[source]];
        out[at + stride] = values[data[source + green]];
        out[at + 2 * stride] = values[data[source + blue]];
      }
      return;
    }
    const n = right - left, light = this.row('light', this.light.length * n);
    for (let c = 0; c < this.light.length; c++) {
      const table = this.light[c], first = source + Math.min(c, colours - 1);
      for (let i = 0, k = c * n; i < n; i++, k++) light[k] = table[data[first + i * bands]];
    }
    converter.lightToSrgb(light, n, out, at, step, stride);
  }

  /** Return memory for a row, which the next call with the same name overwrites. */
  row(name, length) {
    this.rows ??= {};
    if (this.rows[name]?.length !== length) this.rows[name] = new Float32Array(length);
    return this.rows[name];
  }

  /**
   * Write a row of an edited rectangle as codes. Colours outside sRGB, strength and mask are treated
   * as in the command: the mask mixes sRGB pixels, the strength the values that the file stores.
   * @param {Float32Array} planes the edited pixels; `at` is the first one's red
   * @param {number} stride from a colour to the next
   * @param {number} strength
   * @param {Float32Array | null} mask weights of the row's pixels, from `maskAt` on
   * @param {Uint8Array | Uint16Array} output the whole output
   */
  writeRow(y, left, right, planes, at, stride, strength, mask, maskAt, output) {
    const {data, converter, codes: {bands, width}} = this, n = right - left, place = (y * width + left) * bands;
    const share = f(strength), before = this.row('before', 3 * n), after = this.row('after', 3 * n);
    if (mask || converter || share !== 1) this.readRow(y, left, right, before, 0, 1, n);
    for (let c = 0; c < 3; c++) {
      for (let i = 0, k = c * n, from = at + c * stride; i < n; i++, k++) {
        const value = planes[from + i];
        after[k] = value > 0 ? (value > 1 ? 1 : value) : 0;
      }
    }
    if (mask) {
      for (let k = 0; k < 3 * n; k++) {
        const weight = mask[maskAt + (k % n)];
        if (weight !== 1) after[k] = f(before[k] + f(weight * f(after[k] - before[k])));
      }
    }
    const own = converter ? this.toStored(before, after, n, place, share) : after;
    if (!converter && share !== 1) {
      for (let k = 0; k < 3 * n; k++) after[k] = f(before[k] + f(share * f(after[k] - before[k])));
    }
    this.quantise(own, n, converter?.channels ?? 3, output, place);
    if (bands % 2 === 0) {  // alpha
      for (let i = place + bands - 1; i < place + n * bands; i += bands) output[i] = data[i];
    }
  }

  /**
   * Convert edited sRGB pixels, (3, n), to the values that the file stores. The photo's values minus
   * those that its sRGB pixels convert back to are out of gamut, and are added again.
   */
  toStored(before, after, n, place, share) {
    const {converter, data, values, codes: {bands}, colours} = this, {channels} = converter;
    const own = this.row('own', channels * n), back = this.row('back', channels * n);
    converter.fromSrgb(before, n, back);
    converter.fromSrgb(after, n, own);
    for (let c = 0; c < channels; c++) {
      for (let i = 0, k = c * n, from = place + Math.min(c, colours - 1); i < n; i++, k++, from += bands) {
        const code = values[data[from]], value = f(own[k] + f(code - back[k]));
        const clipped = value > 0 ? (value > 1 ? 1 : value) : 0;
        own[k] = share === 1 ? clipped : f(code + f(share * f(clipped - code)));
      }
    }
    return own;
  }

  /** Write values, (channels, n), as codes, rounded to the nearest, halves to even. */
  quantise(own, n, channels, output, place) {
    const {colours, codes: {bands}} = this, scale = f(this.maxCode);
    if (colours === 1) {
      for (let i = 0; i < n; i++) {
        const grey = channels === 3 ? f((own[i] + own[n + i] + own[2 * n + i]) / 3) : own[i];
        output[place + i * bands] = rint(f(grey * scale));
      }
      return;
    }
    for (let c = 0; c < 3; c++) {
      for (let i = 0, k = c * n, to = place + c; i < n; i++, k++, to += bands) {
        output[to] = f(f(f(own[k] * scale) + 8388608) - 8388608);
      }
    }
  }
}
