/** Metadata of a JPEG: the segments that do not belong to its pixels; see `jpeg_metadata.py`. */

import {concat, find, latin1, startsWith, uint, viewOf, bytesOf} from './bytes.js';

const APP0 = 0xe0, APP1 = 0xe1, APP2 = 0xe2, APP11 = 0xeb, APP13 = 0xed, APP14 = 0xee, COM = 0xfe;
const SOI = 0xd8, EOI = 0xd9, SOS = 0xda;
const BETWEEN_SCANS = new Set([0xc4, 0xda, 0xdb, 0xdc, 0xdd]);
const MAX_SEGMENT = 65_533, MAX_XMP = 65_502;
const EXIF = 'Exif\0\0', XMP = 'http://ns.adobe.com/xap/1.0/\0';
const EXTENDED_XMP = 'http://ns.adobe.com/xmp/extension/\0';
const PHOTOSHOP = 'Photoshop 3.0\0', PROFILE = 'ICC_PROFILE\0', JFIF = 'JFIF\0';
/** Photoshop's resources that hold a thumbnail. */
const THUMBNAILS = new Set([0x0409, 0x040c]);
export const GAIN_MAP = 'the HDR gain map';
/** Marker and beginning of segments about pixels that are replaced -> their name, if they have one. */
const FALSE_AFTER_EDIT = [
  [APP0, 'JFXX\0', ''], [0xe3, '\xff\xd8\xff', ''], [0xe4, '\xff\xd8\xff', ''], [0xe4, 'SCALADO\0', ''],
  [0xe8, 'SPIFF\0', ''], [APP11, 'HDR_RI ', GAIN_MAP], [APP2, 'urn:iso:std:iso:ts:21496:-1\0', GAIN_MAP],
  [APP2, 'MPF\0', ''],
];

/** Yield marker and content of each segment, up to the end of the first image. */
function* segments(jpeg) {
  let inScans = false;
  for (let at = 2; (at = jpeg.indexOf(0xff, at)) >= 0 && at + 1 < jpeg.length;) {
    const marker = jpeg[at + 1];
    if (marker < 0xc0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7)) { at++; continue; }
    at += 2;
    if (marker === EOI) { yield {marker, start: at, end: at}; return; }
    if (marker === SOI || (inScans && !BETWEEN_SCANS.has(marker))) continue;
    const size = at + 1 < jpeg.length ? 256 * jpeg[at] + jpeg[at + 1] : 0;
    if (size >= 2 && at + size <= jpeg.length) {
      yield {marker, start: at + 2, end: at + size};
      at += size;
    }
    inScans ||= marker === SOS;
  }
}

/**
 * Return a JPEG's metadata.
 * @returns {{exif, xmp, photoshop, native: [number, Uint8Array][], extension: Uint8Array[],
 *   subsampling: string | null, complete: boolean, dropped: string[]}}
 */
export function readJpeg(jpeg) {
  const exif = [], photoshop = [], native = [], extension = [], dropped = [];
  let xmp = null, subsampling = null, end = jpeg.length, complete = false;
  for (const {marker, start, end: stop} of segments(jpeg)) {
    const content = jpeg.subarray(start, stop), starts = (text) => startsWith(content, text);
    if (marker === EOI) [end, complete] = [start, true];
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const names = {0x11: '4:4:4', 0x21: '4:2:2', 0x22: '4:2:0', 0x12: '4:4:0', 0x41: '4:1:1'};
      subsampling ??= content[5] === 3 ? names[content[7]] ?? null : null;
    } else if (!(marker >= 0xe0 && marker <= 0xef) && marker !== COM) continue;
    else if (marker === APP1 && starts('Exif\0')) {
      const part = content.slice(6);
      if (exif.length && (startsWith(part, 'II') || startsWith(part, 'MM'))) dropped.push('a second EXIF block');
      else exif.push(part);
    } else if (marker === APP1 && starts(XMP)) {
      if (xmp) dropped.push('a second XMP packet');
      else xmp = content.slice(XMP.length);
    } else if (marker === APP1 && starts(EXTENDED_XMP)) extension.push(content.slice());
    else if (marker === APP13 && starts(PHOTOSHOP)) photoshop.push(content.slice(PHOTOSHOP.length));
    else if (marker === APP0 && starts(JFIF)) {
      const head = new Uint8Array(14);  // without the thumbnail
      head.set(content.subarray(0, 12));
      native.push([marker, head]);
    } else if (marker === APP2 && starts(PROFILE)) continue;
    else if (marker === APP11 && starts('JP')) {
      const isJumbf = latin1(content.subarray(12, 16)) === 'jumb';
      if (find(content.subarray(0, 100), 'c2pa') >= 0) dropped.push('Content Credentials (C2PA)');
      else if (isJumbf) native.push([marker, content.slice()]);
      else dropped.push('the data for a high dynamic range');
    } else {
      const rule = FALSE_AFTER_EDIT.find(([kind, text]) => kind === marker && starts(text));
      if (rule) dropped.push(rule[2]);
      else native.push([marker, content.slice()]);
    }
  }
  if (xmp && find(xmp, 'hdrgm:') >= 0) dropped.push(GAIN_MAP);
  if (!dropped.includes(GAIN_MAP) && jpeg.length - end > 2) {
    const rest = jpeg.subarray(end);
    if (find(rest, 'hdr-gain-map') >= 0 || find(rest, 'HDRGainMap') >= 0) dropped.push(GAIN_MAP);
    else if (find(rest, 'ftyp') >= 0) dropped.push('the video of the motion photo');
    else if (rest.some((byte) => ![0, 255, 10, 13, 32].includes(byte))) dropped.push('the data behind the image');
  }
  return {
    exif: exif.length ? concat(exif) : null,
    xmp,
    photoshop: withoutThumbnails(concat(photoshop)),
    native,
    extension: xmp && find(xmp, 'HasExtendedXMP') >= 0 ? extension : [],
    subsampling,
    complete,
    dropped,
  };
}

/** Return Photoshop's resources without thumbnails; a damaged part is kept. */
function withoutThumbnails(photoshop) {
  const kept = [], view = viewOf(photoshop);
  let at = 0;
  while (at + 12 <= photoshop.length && /^[0-9A-Za-z]{4}$/.test(latin1(photoshop.subarray(at, at + 4)))) {
    const number = view.getUint16(at + 4), name = Math.floor((photoshop[at + 6] + 2) / 2) * 2;
    if (at + 10 + name > photoshop.length) break;
    const size = view.getUint32(at + 6 + name), end = at + 10 + name + size;
    if (end > photoshop.length) break;
    const stop = end + (size % 2);
    if (!THUMBNAILS.has(number)) kept.push(photoshop.subarray(at, stop));
    at = stop;
  }
  return concat([...kept, photoshop.subarray(at)]);
}

/** Return whether XMP fits into a JPEG's segment. */
export const fitsJpeg = (xmp) => xmp.length <= MAX_XMP;

/**
 * Insert metadata into a JPEG that has none.
 * @param {number} channels 1 (grey) or 3
 */
export function writeJpeg(jpeg, {exif, xmp, photoshop, native, extension, profile, resolution}, channels) {
  const isJfif = ([kind, content]) => kind === APP0 && startsWith(content, JFIF);
  const list = native.filter(isJfif).slice(0, 1);
  if (!list.length && resolution && !exif) {
    const dpi = resolution.map((value) => Math.min(Math.round(value * 25.4), 65535));
    list.push([APP0, concat([bytesOf(JFIF), uint(0x010201, 3), uint(dpi[0], 2), uint(dpi[1], 2), uint(0, 2)])]);
  }
  const split = (kind, prefix, content, size = MAX_SEGMENT - prefix.length) => {
    for (let at = 0; at < content.length; at += size) {
      list.push([kind, concat([bytesOf(prefix), content.subarray(at, at + size)])]);
    }
  };
  split(APP1, EXIF, exif ?? []);
  if (xmp) list.push([APP1, concat([bytesOf(XMP), xmp])]);
  list.push(...extension.map((content) => [APP1, content]));
  split(APP13, PHOTOSHOP, photoshop);
  // Adobe's segment states how colours are encoded.
  const fits = ([kind, content]) =>
    kind !== APP14 || !startsWith(content, 'Adobe') || content[11] === (channels === 3 ? 1 : 0);
  list.push(...native.filter((part) => !isJfif(part) && fits(part)));
  if (profile) {
    const size = MAX_SEGMENT - PROFILE.length - 2, count = Math.ceil(profile.length / size);
    for (let i = 0; i < count; i++) {
      const part = profile.subarray(i * size, (i + 1) * size);
      list.push([APP2, concat([bytesOf(PROFILE), Uint8Array.of(i + 1, count), part])]);
    }
  }
  const packed = list.flatMap(([kind, content]) => [Uint8Array.of(255, kind), uint(content.length + 2, 2), content]);
  return concat([jpeg.subarray(0, 2), ...packed, jpeg.subarray(2)]);
}
