/**
 * Fit the masks of objects to the edges in the photo with the guided filter, as the command does:
 * in every window, the mask becomes an affine function of the colours.
 * He, Sun, Tang: Guided Image Filtering, TPAMI 2013, doi:10.1109/TPAMI.2012.213.
 */

import {stretchMask} from './masks.js';

/** The window's radius in pixels of the coarse mask, and the variance that counts as an edge. */
const WINDOW = 0.5, EPS = 1e-2, MIN_RADIUS = 2;

/**
 * Return an object whose mask follows the edges of an image.
 * @param {{box: number[], mask: {pixels: Float32Array, height: number, width: number}}} object the
 *     box in the image's pixels
 * @param {{pixels: Float32Array, height: number, width: number}} image RGB
 */
export function refineObject(object, image) {
  const {box, mask} = object, [left, top, right, bottom] = box;
  const scale = Math.max((right - left) / mask.width, (bottom - top) / mask.height);
  if (scale <= 1) return object;
  const radius = Math.max(MIN_RADIUS, Math.round(WINDOW * scale)), margin = 2 * radius + 2;
  const window = {
    left: Math.max(0, Math.floor(left) - margin), top: Math.max(0, Math.floor(top) - margin),
    right: Math.min(image.width, Math.ceil(right) + margin), bottom: Math.min(image.height, Math.ceil(bottom) + margin),
  };
  const width = window.right - window.left, height = window.bottom - window.top;
  if (width < 1 || height < 1) return object;
  const coarse = new Float32Array(height * width);
  stretchMask(mask, box, image, (x, y, value) => {
    if (x >= window.left && x < window.right && y >= window.top && y < window.bottom) {
      coarse[(y - window.top) * width + x - window.left] = value;
    }
  });
  const planes = [0, 1, 2].map((c) => Float32Array.from(coarse, (_, i) => {
    const y = window.top + Math.floor(i / width), x = window.left + (i % width);
    return image.pixels[3 * (y * image.width + x) + c];
  }));
  const pixels = guidedFilter(planes, coarse, height, width, radius);
  return {...object, box: [window.left, window.top, window.right, window.bottom], mask: {pixels, height, width}};
}

function guidedFilter([r, g, b], p, height, width, radius) {
  const mean = (values) => boxMean(values, height, width, radius), n = p.length;
  const product = (x, y) => mean(x.map((value, i) => value * y[i]));
  const [mr, mg, mb, mp] = [r, g, b, p].map(mean);
  const [pr, pg, pb] = [r, g, b].map((plane) => product(plane, p));
  const [rr, rg, rb, gg, gb, bb] = [[r, r], [r, g], [r, b], [g, g], [g, b], [b, b]].map(([x, y]) => product(x, y));
  const slopes = [0, 1, 2].map(() => new Float32Array(n)), offset = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    // The symmetric system of the window's covariances.
    const a = rr[i] - mr[i] * mr[i] + EPS, d = gg[i] - mg[i] * mg[i] + EPS, f = bb[i] - mb[i] * mb[i] + EPS;
    const s = rg[i] - mr[i] * mg[i], t = rb[i] - mr[i] * mb[i], u = gb[i] - mg[i] * mb[i];
    const x = pr[i] - mr[i] * mp[i], y = pg[i] - mg[i] * mp[i], z = pb[i] - mb[i] * mp[i];
    const aa = d * f - u * u, ab = t * u - s * f, ac = s * u - t * d;
    const det = a * aa + s * ab + t * ac;
    const sr = (aa * x + ab * y + ac * z) / det;
    const sg = (ab * x + (a * f - t * t) * y + (s * t - a * u) * z) / det;
    const sb = (ac * x + (s * t - a * u) * y + (a * d - s * s) * z) / det;
    [slopes[0][i], slopes[1][i], slopes[2][i]] = [sr, sg, sb];
    offset[i] = mp[i] - sr * mr[i] - sg * mg[i] - sb * mb[i];
  }
  const [ar, ag, ab] = slopes.map(mean), m = mean(offset);
  return m.map((value, i) => Math.max(0, Math.min(1, value + ar[i] * r[i] + ag[i] * g[i] + ab[i] * b[i])));
}

/** Return the mean over the square window around each pixel, clipped at the border. */
function boxMean(values, height, width, radius) {
  const rows = new Float32Array(values.length), out = new Float32Array(values.length);
  slide(values, rows, height, width, width, 1, radius);
  slide(rows, out, width, height, 1, width, radius);
  return out;
}

/** Write the means of runs along one direction: `lines` lines of `length` values, `step` apart. */
function slide(values, out, lines, length, next, step, radius) {
  for (let line = 0; line < lines; line++) {
    const start = line * next;
    let sum = 0;
    for (let i = 0; i < Math.min(radius, length); i++) sum += values[start + i * step];
    for (let i = 0; i < length; i++) {
      if (i + radius < length) sum += values[start + (i + radius) * step];
      if (i > radius) sum -= values[start + (i - radius - 1) * step];
      out[start + i * step] = sum / (Math.min(i + radius, length - 1) - Math.max(i - radius, 0) + 1);
    }
  }
}
