/**
 * Convert between the colours of a photo's profile and sRGB, as `burnish/photo/colour.py` does.
 * Only profiles of curves and a matrix are converted; the command converts all others.
 */

const MAX_CODE = 65535;
const f = Math.fround;
/** Values from 0 to 1 as numpy.linspace computes them. */
const RAMP = Float64Array.from({length: MAX_CODE + 1}, (_, i) => (i < MAX_CODE ? i * (1 / MAX_CODE) : 1));
const TOP = f(MAX_CODE);

/** Round a float32 from 0 to 65535 to the nearest whole number, halves to even. */
export const rint = (x) => f(f(x + 8388608) - 8388608);

function interp(x, xp, fp) {
  const out = new Float64Array(x.length), last = xp.length - 1;
  for (let i = 0, j = 0; i < x.length; i++) {
    while (j < last - 1 && xp[j + 1] <= x[i]) j++;
    if (x[i] <= xp[0]) out[i] = fp[0];
    else if (x[i] >= xp[last]) out[i] = fp[last];
    else out[i] = ((fp[j + 1] - fp[j]) / (xp[j + 1] - xp[j])) * (x[i] - xp[j]) + fp[j];
  }
  return out;
}

/** Return a tone curve and its inverse as tables: light at codes, and codes at roots of light. */
function curveFromSamples(linear) {
  if (!(linear[MAX_CODE] - linear[0] > 0.5)) throw new Error('a flat curve');
  for (let i = 0; i < MAX_CODE; i++) if (!(linear[i + 1] >= linear[i])) throw new Error('a falling curve');
  const code = interp(RAMP.map((v) => v * v), linear, RAMP);
  return {linear: Float32Array.from(linear), code: Float32Array.from(code)};
}

function parseCurve(tag) {
  const view = new DataView(tag.buffer, tag.byteOffset, tag.byteLength);
  const name = String.fromCharCode(...tag.subarray(0, 4));
  if (name === 'curv') {
    const count = view.getUint32(8);
    if (count === 0) return curveFromSamples(RAMP);
    if (count === 1) return curveFromSamples(RAMP.map((x) => x ** (view.getUint16(12) / 256)));
    const points = Float64Array.from({length: count}, (_, i) => view.getUint16(12 + 2 * i) / MAX_CODE);
    const at = Float64Array.from({length: count}, (_, i) => (i < count - 1 ? i * (1 / (count - 1)) : 1));
    return curveFromSamples(interp(RAMP, at, points));
  }
  if (name !== 'para') throw new Error('an unknown curve');
  const kind = view.getUint16(8), count = [1, 3, 4, 5, 7][kind];
  let [g, a = 0, b = 0, c = 0, d = 0, e = 0, k = 0] = Array.from(
    {length: count}, (_, i) => view.getInt32(12 + 4 * i) / 65536);
  if (kind === 0) a = 1;
  if (kind === 1 || kind === 2) {
    if (a === 0) throw new Error('a curve without slope');
    [c, d, e, k] = [0, -b / a, c, c];
  }
  const value = (x) => (d <= x ? Math.max(a * x + b, 0) ** g + e : c * x + k);
  return curveFromSamples(RAMP.map((x) => Math.min(1, Math.max(0, value(x)))));
}

/**
 * A profile: one curve for each channel of the file, 1 or 3, and a 3 x channels matrix to XYZ.
 * @returns {{curves: object[], xyz: number[][]} | null} null if it is damaged or of another kind
 */
export function parseProfile(bytes, srgb = null) {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), tags = {};
    const text = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
    if (text(36) !== 'acsp' || text(20) !== 'XYZ ') return null;
    for (let i = 0; i < Math.min(view.getUint32(128), 1000); i++) {
      const at = 132 + 12 * i, start = view.getUint32(at + 4), end = start + view.getUint32(at + 8);
      if (end > bytes.length) return null;
      tags[text(at)] = bytes.subarray(start, end);
    }
    if (['A2B0', 'A2B1', 'D2B0', 'D2B1'].some((name) => name in tags)) return null;
    if (text(16) === 'GRAY') {
      const white = srgb.xyz.map((row) => [row[0] + row[1] + row[2]]);
      return {curves: [parseCurve(tags.kTRC)], xyz: white};
    }
    if (text(16) !== 'RGB ') return null;
    const columns = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => {
      const tag = new DataView(tags[name].buffer, tags[name].byteOffset, tags[name].byteLength);
      return [8, 12, 16].map((at) => tag.getInt32(at) / 65536);
    });
    const xyz = [0, 1, 2].map((row) => columns.map((column) => column[row]));
    if (!(Math.abs(determinant(xyz)) >= 1e-4)) return null;
    // Equal curves share their tables, which then stay in the processor's cache.
    const parsed = new Map();
    const curves = ['rTRC', 'gTRC', 'bTRC'].map((name) => {
      const key = String(tags[name]);
      if (!parsed.has(key)) parsed.set(key, parseCurve(tags[name]));
      return parsed.get(key);
    });
    return {curves, xyz};
  } catch {
    return null;
  }
}

const determinant = ([[a, b, c], [d, e, g], [h, i, j]]) =>
  a * (e * j - g * i) - b * (d * j - g * h) + c * (d * i - e * h);

function inverse(m) {
  const [[a, b, c], [d, e, g], [h, i, j]] = m, det = determinant(m);
  return [
    [e * j - g * i, c * i - b * j, b * g - c * e],
    [g * h - d * j, a * j - c * h, c * d - a * g],
    [d * i - e * h, b * h - a * i, a * e - b * d],
  ].map((row) => row.map((value) => value / det));
}

const multiply = (a, b) =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
const flat32 = (matrix) => Float32Array.from(matrix.flat());

/** Write light at the codes of a part of a row. */
function lookUp(values, start, n, linear, light) {
  for (let i = start; i < start + n; i++) light[i] = linear[f(f(f(values[i] * TOP) + 8388608) - 8388608)];
}

/** Mix a row of light, (3, n), by a matrix, and write the codes of curves, one for each output. */
function convertRow(light, n, m, curves, out, at, step, stride) {
  for (let c = 0; c < curves.length; c++) {
    const {code} = curves[c], a = m[3 * c], b = m[3 * c + 1], d = m[3 * c + 2];
    for (let i = 0, to = at + c * stride; i < n; i++, to += step) {
      const mixed = f(f(f(a * light[i]) + f(b * light[n + i])) + f(d * light[2 * n + i]));
      const root = f(Math.sqrt(mixed < 0 ? 0 : mixed > 1 ? 1 : mixed));
      out[to] = code[f(f(f(root * TOP) + 8388608) - 8388608)];
    }
  }
}

/** Conversions between a profile and sRGB. */
export class Converter {
  constructor(profile, srgb) {
    this.channels = profile.curves.length;
    this.profile = profile;
    this.srgb = srgb;
    this.forward = flat32(multiply(inverse(srgb.xyz), profile.xyz));
    const back = this.channels === 3 ? inverse(profile.xyz) : [[0, 1, 0]];
    this.backward = flat32(multiply(back, srgb.xyz));
  }

  /**
   * Return the light, (channels, 65536 or fewer), of the codes that a file stores.
   * @param {number} step 257 for 8 bits, 1 for 16
   */
  lightOfCodes(step) {
    return this.profile.curves.map((curve) => curve.linear.filter((_, i) => i % step === 0));
  }

  /**
   * Convert a row of light, (channels, n), to sRGB, clipped.
   * @param {Float32Array} light
   * @param {Float32Array} out receives pixel i's red at `at + i * step`
   * @param {number} stride from a colour to the next
   */
  lightToSrgb(light, n, out, at, step, stride) {
    if (this.channels === 3) convertRow(light, n, this.forward, this.srgb.curves, out, at, step, stride);
    else {
      const wide = new Float32Array(3 * n);
      for (let c = 0; c < 3; c++) wide.set(light.subarray(0, n), c * n);
      const m = this.forward, diagonal = Float32Array.of(m[0], 0, 0, 0, m[1], 0, 0, 0, m[2]);
      convertRow(wide, n, diagonal, this.srgb.curves, out, at, step, stride);
    }
  }

  /** Convert a row of sRGB, (3, n), to the file's own values, (channels, n), clipped. */
  fromSrgb(pixels, n, out) {
    const light = this.row(3 * n);
    this.srgb.curves.forEach(({linear}, c) => lookUp(pixels, c * n, n, linear, light));
    convertRow(light, n, this.backward, this.profile.curves, out, 0, 1, n);
  }

  /** Return memory for a row. */
  row(length) {
    if (this.memory?.length !== length) this.memory = new Float32Array(length);
    return this.memory;
  }

  /** Return whether the profile converts like sRGB, whatever its name. */
  isSrgb() {
    if (this.channels !== 3) return false;
    const n = 729, light = new Float32Array(3 * n), out = new Float32Array(3 * n);
    const cube = Float32Array.from({length: 3 * n}, (_, i) => (Math.floor((i % n) / 9 ** Math.floor(i / n)) % 9) / 8);
    this.profile.curves.forEach(({linear}, c) => lookUp(cube, c * n, n, linear, light));
    this.lightToSrgb(light, n, out, 0, 1, n);
    return out.every((value, i) => Math.abs(value - cube[i]) < 2 / 255);
  }
}
