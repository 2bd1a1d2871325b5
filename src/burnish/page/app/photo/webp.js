/** EXIF and XMP in a WebP; see `burnish/photo/webp_metadata.py`. */

import {bytesOf, concat, latin1, viewOf} from './bytes.js';

const XMP_FLAG = 4, EXIF_FLAG = 8, FLAGS = 20;

function* chunks(webp) {
  const view = viewOf(webp);
  for (let at = 12; at + 8 <= webp.length;) {
    const size = view.getUint32(at + 4, true);
    yield {kind: latin1(webp.subarray(at, at + 4)), start: at};
    at += 8 + size + (size % 2);
  }
}

export const isLossless = (webp) => [...chunks(webp)].some(({kind}) => kind === 'VP8L');

const KNOWN = ['VP8X', 'VP8 ', 'VP8L', 'ALPH', 'ICCP', 'EXIF', 'XMP ', 'ANIM', 'ANMF'];

/** Return the names of chunks that cannot be kept. */
export const unknownChunks = (webp) =>
  [...chunks(webp)].filter(({kind}) => !KNOWN.includes(kind)).map(({kind}) => `WebP chunk ${kind.trim()}`);

/** Replace the EXIF block that libvips has written behind the image by these blocks. */
export function writeWebp(webp, {exif, xmp}) {
  if (!exif && !xmp) return webp;
  const end = [...chunks(webp)].find(({kind}) => kind === 'EXIF').start, parts = [webp.slice(0, end)];
  let flags = webp[FLAGS] & ~(EXIF_FLAG | XMP_FLAG);
  for (const [kind, block, flag] of [['EXIF', exif, EXIF_FLAG], ['XMP ', xmp, XMP_FLAG]]) {
    if (!block) continue;
    const size = new Uint8Array(4);
    viewOf(size).setUint32(0, block.length, true);
    parts.push(bytesOf(kind), size, block, new Uint8Array(block.length % 2));
    flags |= flag;
  }
  const whole = concat(parts);
  viewOf(whole).setUint32(4, whole.length - 8, true);
  whole[FLAGS] = flags;
  return whole;
}
