/** EXIF blocks, which are kept byte for byte but for the orientation; see `burnish/photo/exif.py`. */

import {viewOf} from './bytes.js';

const ORIENTATION = 0x0112, EXIF = 0x8769, THUMBNAIL = 0x0201, THUMBNAIL_BYTES = 0x0202;
const SIZES = [[0x0100, 0x0101], [0xa002, 0xa003]];
/** Types of one-byte, two-byte and four-byte integers -> bytes. */
const INTEGERS = {1: 1, 3: 2, 4: 4};

/** Reads and writes the integers of a block. */
class Block {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    const order = this.view.getUint16(0);
    this.little = order === 0x4949;
    if (!this.little && order !== 0x4d4d) throw new RangeError('no TIFF header');
    if (this.view.getUint16(2, this.little) !== 42) throw new RangeError('no TIFF header');
    this.first = this.view.getUint32(4, this.little);
  }

  read(at, size) {
    const {view, little} = this;
    return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, little) : view.getUint32(at, little);
  }

  /** Return the integers of an IFD: {tag, value, at}. */
  fields(offset = this.first) {
    if (offset + 2 > this.bytes.length) return [];
    const fields = [], last = Math.min(offset + 2 + 12 * this.read(offset, 2), this.bytes.length - 11);
    for (let at = offset + 2; at < last; at += 12) {
      const size = INTEGERS[this.read(at + 2, 2)];
      if (size) fields.push({tag: this.read(at, 2), value: this.read(at + 8, size), at});
    }
    return fields;
  }

  write(at, value) {
    const size = INTEGERS[this.read(at + 2, 2)], {view, little} = this;
    if (value >= 256 ** size) return;
    if (size === 1) view.setUint8(at + 8, value);
    else if (size === 2) view.setUint16(at + 8, value, little);
    else view.setUint32(at + 8, value, little);
  }

  /** Return the position of the pointer to the next IFD; null if it is cut off. */
  next(offset) {
    if (offset + 2 > this.bytes.length) return null;
    const at = offset + 2 + 12 * this.read(offset, 2);
    return at + 4 <= this.bytes.length ? at : null;
  }
}

function parse(bytes) {
  try {
    return new Block(bytes);
  } catch {
    return null;
  }
}

/** Return a block's orientation: 1 is upright, 5 to 8 are stored sideways. */
export function exifOrientation(exif) {
  const block = exif && parse(exif);
  const valid = ({tag, value}) => tag === ORIENTATION && value >= 1 && value <= 8;
  return block?.fields().find(valid)?.value ?? 1;
}

/** Return whether a block states the size of the image's pixels. */
export function hasExifResolution(exif) {
  const unit = exif && parse(exif)?.fields().find(({tag}) => tag === 0x0128)?.value;
  return unit === 2 || unit === 3;
}

/** Tags of a TIFF that describe the photo: camera, date, author, EXIF and GPS. */
const DESCRIPTIVE = [0x010e, 0x010f, 0x0110, 0x0131, 0x0132, 0x013b, 0x8298, EXIF, 0x8825];

/** Return whether a TIFF has tags that describe the photo. */
export function describesPhoto(tiff) {
  const block = parse(tiff);
  if (!block || block.first + 2 > tiff.length) return false;
  const count = Math.min(block.read(block.first, 2), Math.floor((tiff.length - block.first - 2) / 12));
  return Array.from({length: count}, (_, i) => block.read(block.first + 2 + 12 * i, 2))
    .some((tag) => DESCRIPTIVE.includes(tag));
}

/**
 * Return a block for an upright image without thumbnail. No byte is moved, so that all offsets stay
 * valid, those in a maker's notes included.
 * @param {[number, number]} size width and height of the upright image
 */
export function resetOrientation(exif, size) {
  const bytes = exif.slice(), block = parse(bytes);
  if (!block) return exif;
  const fields = block.fields();
  if (exifOrientation(exif) >= 5) {
    const inner = fields.find(({tag}) => tag === EXIF);
    for (const ifd of [fields, inner ? block.fields(inner.value) : []]) {
      for (const [widthTag, heightTag] of SIZES) {
        const width = ifd.findLast(({tag}) => tag === widthTag), height = ifd.findLast(({tag}) => tag === heightTag);
        if (width && height && height.value === size[0] && width.value === size[1]) {
          block.write(width.at, size[0]);
          block.write(height.at, size[1]);
        }
      }
    }
  }
  for (const {tag, at} of fields) if (tag === ORIENTATION) block.write(at, 1);
  const link = block.next(block.first);
  if (link !== null) {
    const thumbnail = block.fields(block.read(link, 4));
    const number = (wanted) => thumbnail.findLast(({tag}) => tag === wanted)?.value ?? 0;
    const start = number(THUMBNAIL), end = start + number(THUMBNAIL_BYTES);
    if (bytes[start] === 0xff && bytes[start + 1] === 0xd8 && end <= bytes.length) bytes.fill(0, start, end);
    block.view.setUint32(link, 0, block.little);
  }
  return bytes;
}
