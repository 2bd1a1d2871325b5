/**
 * Reads and writes photos with libvips, which keeps the codes and metadata that a browser's own
 * decoder changes. libvips' memory only grows, so the page ends this worker after each photo saved.
 * Its script alone may evaluate code, which libvips' bindings need.
 */

import {answerTasks} from '../engine/tasks.js';
import {latin1, startsWith} from './bytes.js';
import {samples} from './codes.js';
import {parseProfile} from './colour.js';
import {describesPhoto, exifOrientation, hasExifResolution, resetOrientation} from './exif.js';
import {readJpeg, writeJpeg} from './jpeg.js';
import {isAnimated, readPng, writePng} from './png.js';
import {repairJpeg} from './repair.js';
import {isLossless, unknownChunks, writeWebp} from './webp.js';

const QUALITY = 95;
const KEEP_EXIF = 1, KEEP_XMP = 2, KEEP_IPTC = 4, KEEP_PROFILE = 8;
const COMMAND = 'edit it with the command';

let vips, srgbProfile;

/** An error about a photo: its problem and a remedy. */
class PhotoError extends Error {
  constructor(problem, remedy) {
    super(`${problem}; ${remedy}`);
  }
}

/** Return the name of a file's format from its first bytes. */
function sniff(bytes) {
  const brand = latin1(bytes.subarray(8, 12)), head = latin1(bytes.subarray(0, 16));
  if (!bytes.length) throw new PhotoError('the file is empty', 'get the original again');
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (head.startsWith('RIFF') && brand === 'WEBP') return 'webp';
  if (/^(II[*]\0|MM\0[*]|II[+]\0|MM\0[+])/.test(head)) return 'tiff';
  if (head.slice(4, 8) === 'ftyp') {
    if (/^(hei[cxms]|hev[cx]|mif1|msf1)/.test(brand)) {
      throw new PhotoError('HEIC photos cannot be opened in a browser', `export it as JPEG, or ${COMMAND}`);
    }
    if (/^avi[fs]/.test(brand)) {
      throw new PhotoError('AVIF photos take minutes to save in a browser', COMMAND);
    }
    throw new PhotoError('this is a video or another kind of film', 'edit videos with the command');
  }
  if (head.startsWith('GIF8')) throw new PhotoError('GIF files are not edited here', 'convert it to PNG first');
  if (/^\s*(<\?xml|<svg|<!DOCTYPE svg)/i.test(latin1(bytes.subarray(0, 256)))) {
    throw new PhotoError('this is an SVG drawing, not a photo', 'export it as PNG first');
  }
  throw new PhotoError('this is not a photo that the page reads', 'choose a JPEG, PNG, TIFF or WebP file');
}

const load = (bytes, format, failOn) =>
  vips.Image[`${format}loadBuffer`](bytes, {access: 'sequential', fail_on: failOn});
const damaged = (error) => new PhotoError(`the file is damaged (${reason(error)})`, 'get the original again');

/** Return the codes of a file as they are stored. */
function decode(bytes, format, failOn) {
  let image;
  try {
    image = load(bytes, format, failOn);
    return image.writeToMemory();
  } catch (error) {
    throw damaged(error);
  } finally {
    image?.delete();
  }
}

/**
 * Decode a JPEG. The decoder only warns where a part of the image is missing; it warns as well of
 * errors that do not affect the image, which are repaired.
 */
function decodeJpeg(bytes, isComplete) {
  let problem = new PhotoError('the file is cut off: its end is missing', 'get the original again');
  try {
    if (isComplete) return decode(bytes, 'jpeg', 'warning');
  } catch (error) {
    problem = error;
  }
  const repaired = repairJpeg(bytes);
  if (!repaired) throw problem;
  try {
    return decode(repaired, 'jpeg', 'warning');
  } catch (error) {
    if (error.message.includes('extraneous bytes before marker')) return decode(repaired, 'jpeg', 'truncated');
    throw problem;
  }
}

const field = (image, name) => (image.getTypeof(name) ? image.getBlob(name).slice() : null);
const reason = (error) => String(error?.message ?? error).trim().split('\n').at(-1).replace(/^VipsJpeg: /, '');

async function readBlocks(image, bytes, format) {
  const none = {exif: null, xmp: null, native: [], dropped: []};
  if (format === 'jpeg') return readJpeg(bytes);
  if (format === 'png') return readPng(bytes);
  if (format === 'tiff') {
    const dropped = describesPhoto(bytes) ? ['EXIF of a TIFF, which the command keeps,'] : [];
    return {...none, xmp: field(image, 'xmp-data'), dropped};
  }
  const exif = field(image, 'exif-data');
  return {
    exif: exif && startsWith(exif, 'Exif\0\0') ? exif.slice(6) : exif,
    xmp: field(image, 'xmp-data'),
    native: [],
    dropped: unknownChunks(bytes),
  };
}

/** Refuse an image that cannot be kept without loss. */
function check(image, format, bytes) {
  const pages = format === 'png' ? (isAnimated(bytes) ? 2 : 1)
    : image.getTypeof('n-pages') ? image.getInt('n-pages') : 1;
  if (pages > 1) {
    throw new PhotoError('the file has several pages or frames', 'split it into single images first');
  }
  if (!['uchar', 'ushort'].includes(image.format)) {
    throw new PhotoError(`samples of type ${image.format} are not edited here`, COMMAND);
  }
  if (!/^(b-w|grey16|s?rgb|rgb16|multiband)$/.test(image.interpretation) || image.bands > 4) {
    throw new PhotoError(`not grey or RGB, but ${image.interpretation} with ${image.bands} channels`,
      'convert it to RGB first');
  }
}

/** Copy codes that are stored with an EXIF orientation, so that they stand upright. */
function applyOrientation(stored, orientation, upright, height, width, bands) {
  if (orientation === 1) {
    upright.set(stored);
    return;
  }
  const isSideways = orientation >= 5, fromBottom = [3, 4, 7, 8].includes(orientation);
  const fromRight = [2, 3, 6, 7].includes(orientation);
  const [stepX, stepY] = isSideways ? [height * bands, bands] : [bands, width * bands];
  for (let y = 0, to = 0; y < height; y++) {
    const row = (fromBottom ? height - 1 - y : y) * stepY;
    for (let x = 0; x < width; x++) {
      const from = row + (fromRight ? width - 1 - x : x) * stepX;
      for (let c = 0; c < bands; c++) upright[to++] = stored[from + c];
    }
  }
}

const tasks = {
  async start({libraries, srgb}) {
    srgbProfile = srgb;
    const {default: Vips} = await import(`${libraries}vips-es6.js`);
    // Errors are reported by exceptions, too.
    vips = await Vips({dynamicLibraries: [], locateFile: (file) => libraries + file, printErr() {}});
    vips.concurrency(1);
  },

  /** Decode a photo into codes that stand upright, and read its metadata. */
  async open({bytes: buffer, maxPixels}) {
    const bytes = new Uint8Array(buffer), format = sniff(bytes);
    let image;
    try {
      image = load(bytes, format, 'none');
    } catch (error) {
      throw damaged(error);
    }
    if (image.width * image.height > maxPixels) {
      const size = `${image.width} x ${image.height} pixels`;
      throw new PhotoError(`${size} are too many for a browser, which may take ${maxPixels / 1e6} million`, COMMAND);
    }
    check(image, format, bytes);
    const blocks = await readBlocks(image, bytes, format), warnings = [];
    const tag = image.getTypeof('orientation') ? image.getInt('orientation') : 1;
    const orientation = format === 'tiff' ? tag : exifOrientation(blocks.exif);
    if (blocks.colours === 'a high dynamic range') {
      throw new PhotoError('high dynamic range is not supported', 'convert it to sRGB first');
    }
    const profile = field(image, 'icc-profile-data');
    if (profile) {
      const parsed = parseProfile(profile, parseProfile(srgbProfile));
      if (!parsed || parsed.curves.length < (image.bands < 3 ? 1 : 3)) {
        throw new PhotoError('its colour profile has tables, or is broken', COMMAND);
      }
    } else if (blocks.colours) {
      warnings.push(`the file declares colours other than sRGB (by ${blocks.colours}) but has no profile; they are taken as sRGB`);
    }
    const stored = format === 'jpeg' ? decodeJpeg(bytes, blocks.complete) : decode(bytes, format, 'error');
    const {bands} = image, depth = image.format === 'ushort' ? 16 : 8;
    const [width, height] = orientation >= 5 ? [image.height, image.width] : [image.width, image.height];
    const shared = new SharedArrayBuffer((width * height * bands * depth) / 8);
    const values = depth === 16 ? new Uint16Array(stored.buffer, stored.byteOffset, width * height * bands) : stored;
    applyOrientation(values, orientation, samples(shared, depth), height, width, bands);
    const dropped = [...new Set(blocks.dropped.filter(Boolean))];
    if (dropped.length) warnings.push(`${dropped.join(' and ')} cannot be kept and will be left out`);
    const metadata = {
      format,
      exif: blocks.exif && resetOrientation(blocks.exif, [width, height]),
      xmp: blocks.xmp,
      photoshop: blocks.photoshop ?? new Uint8Array(),
      iptc: format === 'tiff' ? field(image, 'iptc-data') : null,
      extension: blocks.extension ?? [],
      native: blocks.native,
      profile,
      subsampling: blocks.subsampling ?? null,
      lossless: format === 'webp' && isLossless(bytes),
      resolution: hasResolution(blocks) || format === 'tiff' ? [image.xres, image.yres] : null,
    };
    image.delete();
    return {codes: {buffer: shared, height, width, bands, depth, profile}, metadata, warnings};
  },

  /** Encode codes as a file of the photo's own format. */
  encode({codes, metadata}) {
    const {format} = metadata;
    // libvips reads no shared memory.
    const data = codes.depth === 16 ? new Uint16Array(codes.buffer).slice() : new Uint8Array(codes.buffer).slice();
    const type = codes.depth === 16 ? 'ushort' : 'uchar', colour = codes.bands >= 3;
    const interpretation = codes.depth === 16 ? (colour ? 'rgb16' : 'grey16') : (colour ? 'srgb' : 'b-w');
    const [xres, yres] = metadata.resolution ?? [72 / 25.4, 72 / 25.4];
    const raw = vips.Image.newFromMemory(data, codes.width, codes.height, codes.bands, type);
    const image = raw.copy({interpretation, xres, yres});
    image.setString('resolution-unit', 'in');
    const file = savers[format](image, codes, metadata);
    for (const part of [image, raw]) part.delete();
    return file;
  },

  /** Encode a mask, (height, width) from 0 to 1, as a grey PNG. */
  encodeMask({mask, height, width}) {
    const data = Uint8Array.from(new Float32Array(mask), (value) => Math.round(255 * value));
    const image = vips.Image.newFromMemory(data, width, height, 1, 'uchar');
    const file = image.copy({interpretation: 'b-w'}).pngsaveBuffer({filter: 'all', keep: 0}).slice();
    image.delete();
    return file;
  },
};

function hasResolution({exif, native}) {
  return hasExifResolution(exif) || native.some(([kind, content]) =>
    (kind === 'pHYs' && content[8] > 0) || (kind === 0xe0 && startsWith(content, 'JFIF\0') && content[7] > 0));
}

const savers = {
  jpeg(image, codes, metadata) {
    const file = image.jpegsaveBuffer({
      Q: QUALITY, subsample_mode: metadata.subsampling === '4:2:0' ? 'on' : 'off', optimize_coding: true, keep: 0,
    });
    return writeJpeg(file, metadata, codes.bands);
  },
  png(image, codes, metadata) {
    const file = image.pngsaveBuffer({bitdepth: codes.depth, filter: 'all', keep: 0});
    return writePng(file, metadata, codes.bands, true);
  },
  webp(image, codes, metadata) {
    if (metadata.profile) image.setBlob('icc-profile-data', metadata.profile);
    const keep = (metadata.profile ? KEEP_PROFILE : 0) | (metadata.exif || metadata.xmp ? KEEP_EXIF : 0);
    const file = image.webpsaveBuffer(
      {Q: QUALITY, lossless: metadata.lossless, exact: true, smart_subsample: true, keep});
    return writeWebp(file, metadata);
  },
  tiff(image, codes, metadata) {
    const blocks = {'icc-profile-data': metadata.profile, 'xmp-data': metadata.xmp, 'iptc-data': metadata.iptc};
    for (const [name, block] of Object.entries(blocks)) if (block) image.setBlob(name, block);
    return image.tiffsaveBuffer(
      {compression: 'deflate', predictor: 'horizontal', keep: KEEP_PROFILE | KEEP_XMP | KEEP_IPTC}).slice();
  },
};

answerTasks(tasks);
