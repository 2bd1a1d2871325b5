/**
 * Runs networks on tiles, and resizes photos. Each worker has one thread; the pool gives tiles to
 * several workers. Pixels stay in memory that all of them share.
 */

import {CodeAccess, samples} from '../photo/codes.js';
import {areaResizeRows, bilinearPlanes} from './resize.js';
import {answerTasks} from './tasks.js';

let ort, srgbProfile;
/**
 * Network's address -> session. Without an arena of its own, a session holds little more than its
 * weights between two runs.
 */
const sessions = new Map();
const SESSION = {executionProviders: ['wasm'], enableMemPattern: false, enableCpuMemArena: false};
/** The access to the photo that was used last. */
let lastAccess = null;

/** Return the access to a photo's codes; null for an image of float sRGB pixels. */
function access(image) {
  if (!image.codes) return null;
  if (lastAccess?.codes.id !== image.codes.id) lastAccess = new CodeAccess(image.codes, srgbProfile);
  return lastAccess;
}

/** Return a function that writes a part of a row of an image. */
function rowReader(image) {
  const codes = access(image);
  if (codes) return codes.readRow.bind(codes);
  const pixels = new Float32Array(image.pixels);
  return (y, left, right, out, at, step, stride) => {
    for (let k = 3 * (y * image.width + left); k < 3 * (y * image.width + right); k += 3, at += step) {
      out[at] = pixels[k];
      out[at + stride] = pixels[k + 1];
      out[at + 2 * stride] = pixels[k + 2];
    }
  };
}

const tasks = {
  async start({libraries, srgb}) {
    srgbProfile = srgb;
    ort = await import(`${libraries}ort.wasm.min.mjs`);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = libraries;
    ort.env.logLevel = 'error';
  },

  /** Create the session of a network from the bytes of its file. */
  async open({key, graph}) {
    if (sessions.has(key)) return;
    sessions.set(key, await ort.InferenceSession.create(new Uint8Array(graph), SESSION));
  },

  /** Write some rows of an image resized by area. */
  resize({image, size, output, top, bottom}) {
    const read = rowReader(image);
    const readRow = (y, row) => read(y, 0, image.width, row, 0, 3, 1);
    areaResizeRows(readRow, [image.height, image.width], size, new Float32Array(output), top, bottom);
  },

  /** Run a network on a tile, and write the core of its output. */
  async tile({key, image, tile, network, params, thumbnail, coarse, edit, output}) {
    const {core, padded} = tile, height = padded.bottom - padded.top, width = padded.right - padded.left;
    const area = height * width;
    const feeds = {image: tensor(padPlanes(image, padded), [1, 3, height, width])};
    if (coarse) {
      const planes = new Float32Array(3 * area);
      const small = {...coarse, pixels: new Float32Array(coarse.pixels)};
      bilinearPlanes(small, padded, [image.height, image.width], planes);
      feeds.guide = tensor(planes, [1, 3, height, width]);
    }
    if (params.length) feeds.params = tensor(Float32Array.from(params), [1, params.length, 1, 1]);
    if (network.thumbnail_size) {
      const side = network.thumbnail_size;
      feeds.thumbnail = tensor(planesOf(new Float32Array(thumbnail)), [1, 3, side, side]);
    }
    if (network.coords) feeds.coords = coords(padded, image, network.size_multiple);
    const session = sessions.get(key);
    const {[session.outputNames[0]]: result} = await session.run(feeds);
    const planes = result.data;
    for (let i = 0; i < planes.length; i++) {
      if (!Number.isFinite(planes[i])) throw new Error('the output has values that are not finite');
    }
    const rows = Math.min(core.bottom, image.height), right = Math.min(core.right, image.width);
    const place = (y) => (y - padded.top) * width + core.left - padded.left;
    if (edit) writeCodes(image, core, rows, right, planes, place, area, edit, output);
    else writePixels(image, core, rows, right, planes, place, area, output);
    result.dispose();
  },

  /** Write a rectangle of a photo as sRGB pixels. */
  read({image, rectangle, output}) {
    const read = rowReader(image), out = new Float32Array(output);
    const width = rectangle.right - rectangle.left;
    for (let y = rectangle.top; y < rectangle.bottom; y++) {
      read(y, rectangle.left, rectangle.right, out, 3 * (y - rectangle.top) * width, 3, 1);
    }
  },
};

const tensor = (data, dims) => new ort.Tensor('float32', data, dims);

/** Return a tile as planes, padded at the bottom and the right with its last row and column. */
function padPlanes(image, {top, bottom, left, right}) {
  const height = bottom - top, width = right - left, area = height * width;
  const planes = new Float32Array(3 * area), read = rowReader(image);
  const rows = Math.min(bottom, image.height) - top, columns = Math.min(right, image.width) - left;
  for (let y = 0; y < rows; y++) {
    read(top + y, left, left + columns, planes, y * width, 1, area);
    for (let c = 0; c < 3; c++) {
      const start = c * area + y * width;
      planes.fill(planes[start + columns - 1], start + columns, start + width);
    }
  }
  for (let c = 0; c < 3; c++) {
    const last = c * area + (rows - 1) * width;
    for (let y = rows; y < height; y++) planes.copyWithin(c * area + y * width, last, last + width);
  }
  return planes;
}

/** Convert interleaved pixels to planes. */
function planesOf(pixels) {
  const area = pixels.length / 3, planes = new Float32Array(pixels.length);
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) planes[c * area + i] = pixels[3 * i + c];
  return planes;
}

/** Return the centres of a tile's blocks as x and y, from -1 to 1 over the whole image. */
function coords({top, bottom, left, right}, {height, width}, block) {
  const rows = (bottom - top) / block, columns = (right - left) / block;
  const values = new Float32Array(2 * rows * columns);
  for (let y = 0, k = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      values[k++] = 2 * ((left + block * x + block / 2) / width) - 1;
      values[k++] = 2 * ((top + block * y + block / 2) / height) - 1;
    }
  }
  return tensor(values, [1, rows, columns, 2]);
}

function writeCodes(image, core, rows, right, planes, place, area, edit, output) {
  const codes = access(image), out = samples(output, image.codes.depth);
  const mask = edit.mask && new Float32Array(edit.mask);
  for (let y = core.top; y < rows; y++) {
    codes.writeRow(y, core.left, right, planes, place(y), area, edit.strength, mask,
      y * image.width + core.left, out);
  }
}

/** Write the core as pixels from 0 to 1 at its place in `output`, whose rows are `output.width`. */
function writePixels(image, core, rows, right, planes, place, area, output) {
  const out = new Float32Array(output.pixels), {top = 0, left = 0} = output;
  const first = Math.max(core.left, left), end = Math.min(right, left + output.width);
  for (let y = Math.max(core.top, top); y < Math.min(rows, top + output.height); y++) {
    let k = 3 * ((y - top) * output.width + first - left), at = place(y) + first - core.left;
    for (let x = first; x < end; x++, at++) {
      for (let c = 0; c < 3; c++) {
        const value = planes[at + c * area];
        out[k++] = value > 0 ? (value > 1 ? 1 : value) : 0;
      }
    }
  }
}

answerTasks(tasks);
