/** Metadata of a PNG: the chunks that do not belong to its pixels; see `png_metadata.py`. */

import {bytesOf, concat, find, latin1, startsWith, uint, viewOf} from './bytes.js';
import {GAIN_MAP} from './jpeg.js';

const XMP = 'XML:com.adobe.xmp', RAW_PROFILE = 'Raw profile type ', ORIENTATION = 'exif:Orientation\0';
const ENCODING = new Set(['IHDR', 'PLTE', 'tRNS', 'hIST', 'IDAT', 'IEND', 'iDOT']);
/** Content's size, by the number of the pixels' channels. */
const SIZES = {sBIT: [0, 1, 2, 3, 4], bKGD: [0, 2, 2, 6, 6]};
const FALSE_AFTER_EDIT = {
  caBX: 'Content Credentials (C2PA)', dSIG: 'the digital signature', gdAT: GAIN_MAP, gmAP: GAIN_MAP,
};

function* chunks(png) {
  const view = viewOf(png);
  for (let at = 8; at + 12 <= png.length;) {
    const size = view.getUint32(at), kind = latin1(png.subarray(at + 4, at + 8));
    if (at + 12 + size > png.length) return;
    yield {kind, content: png.subarray(at + 8, at + 8 + size), start: at};
    at += 12 + size;
  }
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Return the text of a chunk; null if it is damaged. */
async function decodeText(kind, content) {
  let at = content.indexOf(0) + 1, compressed = kind === 'zTXt';
  if (kind === 'zTXt') at += 1;
  if (kind === 'iTXt') {
    compressed = content[at] === 1;
    at = content.indexOf(0, content.indexOf(0, at + 2) + 1) + 1;  // behind language and keyword
  }
  const text = content.slice(at);
  return compressed ? inflate(text).catch(() => null) : text;
}

/** Return a block of metadata that older programs keep as text of hexadecimal digits, or null. */
async function decodeRawProfile(kind, content) {
  const [, size, ...lines] = latin1(await decodeText(kind, content) ?? new Uint8Array()).trim().split('\n');
  const digits = lines.join('').replace(/\s/g, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits) || digits.length !== 2 * Number(size)) return null;
  return Uint8Array.from({length: digits.length / 2}, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** @returns {Promise<{exif, xmp, native: [string, Uint8Array][], dropped: string[], colours: string}>} */
export async function readPng(png) {
  const native = [], dropped = [];
  let exif = null, rawExif = null, xmp = null, colours = '';
  const fitsPixels = png[24] >= 8 && png[25] !== 3;  // neither fewer bits nor a palette
  for (const {kind, content: part} of chunks(png)) {
    const content = part.slice();
    if (ENCODING.has(kind) || (kind in SIZES && !fitsPixels)) continue;
    if (kind === 'eXIf') exif = startsWith(content, 'Exif\0\0') ? content.slice(6) : content;
    else if (kind in FALSE_AFTER_EDIT) dropped.push(FALSE_AFTER_EDIT[kind]);
    else if (kind === 'iTXt' && startsWith(content, `${XMP}\0`)) xmp = await decodeText(kind, content);
    else if (/^[tzi]TXt$/.test(kind) && startsWith(content, RAW_PROFILE)) {
      const name = latin1(content).slice(RAW_PROFILE.length).split('\0')[0].toLowerCase();
      const block = await decodeRawProfile(kind, content);
      if (block && /^(exif|app1)$/.test(name) && startsWith(block, 'Exif\0\0')) rawExif = block.slice(6);
      else if (block && name === 'xmp') xmp ??= block;
      else native.push([kind, content]);
    } else if (kind === 'tEXt' && startsWith(content, ORIENTATION)) native.push([kind, bytesOf(`${ORIENTATION}1`)]);
    else native.push([kind, content]);
    if (kind === 'cICP' && [16, 18].includes(content[1])) colours = 'a high dynamic range';
    if (kind === 'cICP' && !([1, 2].includes(content[0]) && [1, 2, 6, 13].includes(content[1]))) colours ||= 'cICP';
    if (kind === 'gAMA' && !(viewOf(content).getUint32(0) >= 45000 && viewOf(content).getUint32(0) < 46000)) {
      colours ||= 'gAMA';
    }
  }
  if (native.some(([kind]) => kind === 'iCCP' || kind === 'sRGB') && colours.length < 5) colours = '';
  return {exif: exif ?? rawExif, xmp, native, dropped, colours};
}

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

/** Replace all chunks before the pixels of a PNG, but the first one, by a photo's metadata. */
export function writePng(png, {exif, xmp, native, resolution}, bands, sameDepth) {
  const list = native.filter(([kind, content]) =>
    !(kind in SIZES) || (content.length === SIZES[kind][bands] && sameDepth));
  if (resolution && !exif && !list.some(([kind]) => kind === 'pHYs')) {
    list.push(['pHYs', concat([...resolution.map((value) => uint(Math.round(value * 1000), 4)), Uint8Array.of(1)])]);
  }
  if (exif) list.push(['eXIf', exif]);
  if (xmp) list.push(['iTXt', concat([bytesOf(`${XMP}\0\0\0\0\0`), xmp])]);
  const packed = list.flatMap(([kind, content]) => {
    const body = concat([bytesOf(kind), content]);
    return [uint(content.length, 4), body, uint(crc32(body), 4)];
  });
  const pixels = [...chunks(png)].find(({kind}) => kind === 'IDAT').start;
  return concat([png.subarray(0, 33), ...packed, png.subarray(pixels)]);
}

/** Return whether a PNG has several frames. */
export const isAnimated = (png) => find(png.subarray(0, 4096), 'acTL') >= 0;
