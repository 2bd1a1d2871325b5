/** Masks of regions, as in `burnish/regions/masks.py` and `burnish/detection/instances.py`. */

/**
 * Stretch a mask over its box by bilinear interpolation, and pass each pixel's value to a function.
 * @param {{pixels: Float32Array, height: number, width: number}} mask
 * @param {number[]} box left, top, right, bottom, px
 * @param {{height: number, width: number}} image
 * @param {(x: number, y: number, value: number) => void} set
 */
export function stretchMask(mask, box, image, set) {
  const {height, width} = mask, [left, right] = grownEdges(box[0], box[2], width);
  const [top, bottom] = grownEdges(box[1], box[3], height);
  const columns = taps(width + 2, right - left), rows = taps(height + 2, bottom - top);
  // The mask is padded by one value of zeros.
  const value = (y, x) =>
    (y < 1 || x < 1 || y > height || x > width ? 0 : mask.pixels[(y - 1) * width + x - 1]);
  for (let y = Math.max(top, 0); y < Math.min(bottom, image.height); y++) {
    const [y0, y1, wy] = rows[y - top];
    for (let x = Math.max(left, 0); x < Math.min(right, image.width); x++) {
      const [x0, x1, wx] = columns[x - left];
      const upper = value(y0, x0) * (1 - wx) + value(y0, x1) * wx;
      const lower = value(y1, x0) * (1 - wx) + value(y1, x1) * wx;
      set(x, y, upper * (1 - wy) + lower * wy);
    }
  }
}

/** Add the pixels of at least one half in a stretched mask to a selection. */
export function pasteMask(mask, box, selection) {
  stretchMask(mask, box, selection, (x, y, value) => {
    if (value >= 0.5) selection.pixels[y * selection.width + x] = 1;
  });
}

/** Return the whole pixels of a box that grows as its mask does by one value on each side. */
function grownEdges(start, end, count) {
  const centre = (start + end) / 2, half = ((end - start) / 2) * ((count + 2) / count);
  return [Math.trunc(centre - half), Math.trunc(centre + half) + 1];
}

function taps(source, target) {
  return Array.from({length: target}, (_, i) => {
    const position = Math.min(source - 1, Math.max(0, ((i + 0.5) * source) / target - 0.5));
    const below = Math.min(Math.floor(position), source - 1);
    return [below, Math.min(below + 1, source - 1), position - below];
  });
}

/** Set or clear the pixels of a stroke, a line of round dots. Positions and radius are in px. */
export function paintStroke({points, radius, erase}, scale, selection) {
  const {pixels, height, width} = selection, r = Math.max(radius * scale, 0.5);
  points.forEach((end, i) => {
    const [x0, y0] = points[Math.max(0, i - 1)].map((v) => v * scale), [x1, y1] = end.map((v) => v * scale);
    const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
    const clamp = (value, high) => Math.max(0, Math.min(high, value));
    const top = clamp(Math.floor(Math.min(y0, y1) - r), height), bottom = clamp(Math.ceil(Math.max(y0, y1) + r), height);
    const left = clamp(Math.floor(Math.min(x0, x1) - r), width), right = clamp(Math.ceil(Math.max(x0, x1) + r), width);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const px = x + 0.5 - x0, py = y + 0.5 - y0;
        const t = length ? clamp((px * dx + py * dy) / length, 1) : 0;
        if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= r * r) pixels[y * width + x] = erase ? 0 : 1;
      }
    }
  });
}

/** Select the pixels whose centres lie in a box: left, top, right, bottom, px. */
export function fillBox([left, top, right, bottom], scale, {pixels, height, width}) {
  for (let y = 0; y < height; y++) {
    if (!(y + 0.5 > top * scale && y + 0.5 < bottom * scale)) continue;
    for (let x = 0; x < width; x++) {
      if (x + 0.5 > left * scale && x + 0.5 < right * scale) pixels[y * width + x] = 1;
    }
  }
}

/**
 * Return the weights of a selection: 0 outside, rising with the distance from outside, and 1 from
 * `feather` + 1 pixels on. The image's border is no edge.
 * @param {Float32Array} weights receives them, one for each pixel
 */
export function featherInto(weights, {pixels, height, width}, feather, invert) {
  if (feather > 0) {
    const limit = feather + 1, squares = squaredDistances(pixels, height, width, Math.ceil(limit));
    const share = Math.fround(limit);
    for (let i = 0; i < weights.length; i++) {
      weights[i] = Math.min(Math.fround(Math.fround(Math.sqrt(squares[i])) / share), 1);
    }
  } else for (let i = 0; i < weights.length; i++) weights[i] = pixels[i];
  if (invert) for (let i = 0; i < weights.length; i++) weights[i] = 1 - weights[i];
}

/** Return the squared distance of each selected pixel from the nearest one outside, exact up to a limit. */
function squaredDistances(pixels, height, width, reach) {
  const far = (reach + 1) ** 2, along = new Int32Array(height * width), out = new Int32Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0, d = reach + 1; x < width; x++) {
      d = pixels[row + x] ? Math.min(d + 1, reach + 1) : 0;
      along[row + x] = d;
    }
    for (let x = width - 1, d = reach + 1; x >= 0; x--) {
      d = pixels[row + x] ? Math.min(d + 1, reach + 1) : 0;
      along[row + x] = Math.min(along[row + x], d) ** 2;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      let best = Math.min(along[at], far);
      if (best) {
        const most = Math.min(reach, Math.max(y, height - 1 - y));
        for (let d = 1; d <= most && d * d < best; d++) {
          if (y >= d) best = Math.min(best, along[at - d * width] + d * d);
          if (y + d < height) best = Math.min(best, along[at + d * width] + d * d);
        }
      }
      out[at] = best;
    }
  }
  return out;
}
