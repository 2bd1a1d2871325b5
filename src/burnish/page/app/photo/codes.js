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
    const [red, second = red, third = red] = this.light;
    for (let x = left; x < right; x++, source += bands, at += step) {
      converter.lightToSrgb(red[data[source]], second[data[source + green]],
        third[data[source + blue]], out, at, stride);
    }
  }

  /**
   * Write a row of an edited rectangle as codes. Colours outside sRGB, strength and mask are treated
   * as in the command: the mask mixes sRGB pixels, the strength the values that the file stores.
   * @param {Float32Array} planes (3, n), the edited pixels; `at` is the first one's red
   * @param {Float32Array | null} mask weights of the row's pixels, from `maskAt` on
   * @param {Uint8Array | Uint16Array} output the whole output
   */
  writeRow(y, left, right, planes, at, stride, strength, mask, maskAt, output) {
    const {data, values, converter, codes: {bands, width}, colours, maxCode} = this;
    const scale = f(maxCode), share = f(strength), own = [0, 0, 0], back = [0, 0, 0], before = [0, 0, 0];
    let place = (y * width + left) * bands;
    for (let x = left; x < right; x++, at++, place += bands) {
      const weight = mask ? mask[maskAt + x - left] : 1;
      for (let c = 0; c < bands; c++) output[place + c] = data[place + c];
      if (weight === 0) continue;
      this.readRow(y, x, x + 1, before, 0, 1, 1);
      for (let c = 0; c < 3; c++) {
        const value = planes[at + c * stride];
        const after = value > 0 ? (value > 1 ? 1 : value) : 0;
        own[c] = weight === 1 ? after : f(before[c] + f(weight * f(after - before[c])));
      }
      if (!converter) {
        for (let c = 0; c < 3; c++) if (share !== 1) own[c] = f(before[c] + f(share * f(own[c] - before[c])));
        if (colours === 1) output[place] = rint(f(f((own[0] + own[1] + own[2]) / 3) * scale));
        else for (let c = 0; c < 3; c++) output[place + c] = rint(f(own[c] * scale));
        continue;
      }
      // The file's own values minus those that the sRGB pixels convert back to are out of gamut.
      converter.fromSrgb(before[0], before[1], before[2], back);
      const stored = converter.channels;
      converter.fromSrgb(own[0], own[1], own[2], own);
      for (let c = 0; c < stored; c++) {
        const code = values[data[place + Math.min(c, colours - 1)]];
        const value = f(own[c] + f(code - back[c]));
        own[c] = value > 0 ? (value > 1 ? 1 : value) : 0;
        if (share !== 1) own[c] = f(code + f(share * f(own[c] - code)));
      }
      if (colours === 1) {
        const grey = stored === 3 ? f((own[0] + own[1] + own[2]) / 3) : own[0];
        output[place] = rint(f(grey * scale));
      } else for (let c = 0; c < 3; c++) output[place + c] = rint(f(own[c] * scale));
    }
  }
}
