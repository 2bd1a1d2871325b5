/**
 * Repair of JPEG files that break rules which do not affect the image, as phones write them; see
 * `burnish/photo/jpeg_repair.py`.
 */

import {concat, latin1} from './bytes.js';

const SOS = 0xda, SOI = 0xd8, EOI = 0xd9, COEFFICIENTS = 64;
const SEQUENTIAL = [0xc0, 0xc1, 0xc9], PROGRESSIVE = [0xc2, 0xca];

/** Yield the marker and the bytes of each segment of the first image, with the data of its scan. */
function* segments(jpeg) {
  for (let at = 2; (at = jpeg.indexOf(0xff, at)) >= 0;) {
    while (jpeg[at + 1] === 0xff) at++;
    const marker = jpeg[at + 1], start = at;
    if (marker === undefined || marker === SOI) return;
    at += 2;
    if (marker === EOI) {
      yield {marker, segment: Uint8Array.of(0xff, EOI)};
      return;
    }
    if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    at += 256 * jpeg[at] + jpeg[at + 1];
    if (!(at <= jpeg.length) || at < start + 4) return;
    if (marker === SOS) at = scanEnd(jpeg, at);
    yield {marker, segment: jpeg.slice(start, at)};
  }
}

/** Return the position of the marker that ends the data of a scan. */
function scanEnd(jpeg, start) {
  for (let at = start; (at = jpeg.indexOf(0xff, at)) >= 0; at++) {
    let next = at + 1;
    while (jpeg[next] === 0xff) next++;
    const marker = jpeg[next];
    if (marker !== undefined && marker !== 0 && !(marker >= 0xd0 && marker <= 0xd7)) return at;
  }
  return jpeg.length;
}

/** Return a JPEG without errors outside of its image data, or null if scans are missing. */
export function repairJpeg(jpeg) {
  const output = [Uint8Array.of(0xff, SOI)];
  /** Component -> for each coefficient, the number of low bits that no scan has sent; -1 for all. */
  const missing = new Map();
  let sequential = true, ended = false;
  for (const {marker, segment} of segments(jpeg)) {
    if (SEQUENTIAL.includes(marker) || PROGRESSIVE.includes(marker)) {
      sequential = SEQUENTIAL.includes(marker);
      missing.clear();
      for (let i = 10; i < segment.length; i += 3) missing.set(segment[i], new Array(COEFFICIENTS).fill(-1));
    } else if (latin1(segment.subarray(4, 9)) === 'JFIF\0') segment.set([1, 2], 9);
    else if (marker === SOS) {
      const at = 5 + 2 * segment[4];
      if (sequential) segment.set([0, COEFFICIENTS - 1, 0], at);
      const [first, last, approximation] = segment.subarray(at, at + 3);
      for (let i = 5; i < at; i += 2) missing.get(segment[i])?.fill(approximation & 15, first, last + 1);
    }
    ended = marker === EOI;
    output.push(segment);
  }
  if ([...missing.values()].some((bits) => bits.some(Boolean))) return null;
  if (ended) return concat(output);
  const whole = concat(output);
  const length = whole.findLastIndex((byte) => byte !== 0) + 1;
  return concat([whole.subarray(0, length), Uint8Array.of(0xff, EOI)]);
}
