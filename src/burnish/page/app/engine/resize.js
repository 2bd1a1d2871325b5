/** Resize images by area and bilinearly, as `burnish/runtime/resize.py` does. */

/**
 * Return, for each output pixel, the first input pixel that it covers and the weights of the covered
 * ones, which sum to 1.
 * @returns {{first: Int32Array, weights: Float32Array[]}}
 */
export function areaWeights(length, size) {
  const first = new Int32Array(size), weights = [], step = length / size, scale = size / length;
  for (let i = 0; i < size; i++) {
    const start = i * step, end = (i + 1) * step;
    const from = Math.floor(start), to = Math.min(length, Math.max(from + 1, Math.ceil(end)));
    const row = [];
    for (let j = from; j < to; j++) {
      row.push(Math.max(0, Math.min(end, j + 1) - Math.max(start, j)) * scale);
    }
    first[i] = from;
    weights.push(Float32Array.from(row));
  }
  return {first, weights};
}

/**
 * Resize by averaging: each output pixel is the mean over the area that it covers. Only some output
 * rows are computed, so that several workers share the work.
 * @param {(y: number, row: Float32Array) => void} readRow writes a row of the input, RGB
 * @param {[number, number]} inputSize height and width
 * @param {[number, number]} size of the whole output, height and width
 * @param {Float32Array} output the whole output, (height, width, 3)
 * @param {number} top first output row to compute
 * @param {number} bottom the end of these rows
 */
export function areaResizeRows(readRow, inputSize, size, output, top, bottom) {
  const [height, width] = inputSize, [outHeight, outWidth] = size;
  const rows = areaWeights(height, outHeight), columns = areaWeights(width, outWidth);
  const row = new Float32Array(3 * width), sums = new Float64Array(3 * width);
  let last = -1;
  for (let y = top; y < bottom; y++) {
    sums.fill(0);
    const weights = rows.weights[y];
    for (let i = 0; i < weights.length; i++) {
      const source = rows.first[y] + i;
      if (source !== last) readRow(source, row);
      last = source;
      addRow(sums, row, weights[i]);
    }
    for (let x = 0, at = 3 * y * outWidth; x < outWidth; x++) {
      const weights = columns.weights[x];
      let r = 0, g = 0, b = 0;
      for (let i = 0, k = 3 * columns.first[x]; i < weights.length; i++, k += 3) {
        const w = weights[i];
        r += w * sums[k];
        g += w * sums[k + 1];
        b += w * sums[k + 2];
      }
      // The weights of a pixel sum to 1 but for rounding.
      output[at++] = Math.min(1, r);
      output[at++] = Math.min(1, g);
      output[at++] = Math.min(1, b);
    }
  }
}

function addRow(sums, row, weight) {
  for (let k = 0; k < row.length; k++) sums[k] += weight * row[k];
}

/** Return the two source pixels of output pixels `start` to `stop`, and the second's weight. */
export function bilinearTaps(length, size, start, stop) {
  const count = stop - start, ratio = length / size;
  const near = new Int32Array(count), far = new Int32Array(count), weight = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const position = Math.min(length - 1, Math.max(0, (start + i + 0.5) * ratio - 0.5));
    near[i] = Math.floor(position);
    far[i] = Math.min(near[i] + 1, length - 1);
    weight[i] = position - near[i];
  }
  return {near, far, weight};
}

/**
 * Write a rectangle of a bilinearly enlarged image as planes, padded at the bottom and the right
 * with its last row and column.
 * @param {{pixels: Float32Array, height: number, width: number}} small
 * @param {import('./tiles.js').Rectangle} rectangle of the padded image
 * @param {[number, number]} size of the enlarged image without padding
 * @param {Float32Array} planes (3, rows, columns)
 */
export function bilinearPlanes(small, rectangle, size, planes) {
  const {top, left} = rectangle, h = rectangle.bottom - top, w = rectangle.right - left;
  const inHeight = Math.min(rectangle.bottom, size[0]) - top;
  const inWidth = Math.min(rectangle.right, size[1]) - left;
  const rows = bilinearTaps(small.height, size[0], top, top + inHeight);
  const columns = bilinearTaps(small.width, size[1], left, left + inWidth);
  const {pixels, width} = small, f = Math.fround;
  for (let y = 0; y < h; y++) {
    const inY = Math.min(y, inHeight - 1);
    const near = 3 * width * rows.near[inY], far = 3 * width * rows.far[inY], wy = rows.weight[inY];
    for (let x = 0; x < w; x++) {
      const inX = Math.min(x, inWidth - 1);
      const a = 3 * columns.near[inX], b = 3 * columns.far[inX], wx = columns.weight[inX];
      for (let c = 0; c < 3; c++) {
        const n = pixels[near + a + c], m = pixels[far + a + c];
        const upper = f(n + f(f(pixels[near + b + c] - n) * wx));
        const lower = f(m + f(f(pixels[far + b + c] - m) * wx));
        planes[(c * h + y) * w + x] = f(upper + f(f(lower - upper) * wy));
      }
    }
  }
}
