/** The tools for a part of the photo: objects, a brush and a box. */

import {TaskWorker, load} from '../engine/pool.js';
import {featherInto, fillBox, paintStroke, pasteMask} from '../engine/masks.js';
import {refineObject} from '../engine/refine.js';
import {WHOLE} from './store.js';

const MIN_SCORE = 0.3;
const NOTES = {
  whole: 'The whole photo is edited.',
  object: 'Click an object in the photo, or choose one here.',
  brush: 'Paint over the part of the photo to edit.',
  box: 'Drag a box in the photo, or type its edges in pixels.',
};
const EDGES = ['Left', 'Top', 'Right', 'Bottom'];

export class RegionTools {
  /**
   * @param {import('./store.js').Store} store
   * @param {import('./pair.js').Pair} pair
   * @param {{engine: object, cards: object, libraries: string, base: URL, say: (text: string, isProblem?: boolean) => void}} page
   */
  constructor(store, pair, page) {
    Object.assign(this, {store, pair, page});
    this.objects = null;
    this.cache = new Map();
    this.listen();
  }

  get region() {
    return this.store.settings.region;
  }

  /** Forget the objects of another photo. The preview is its small copy. */
  setPhoto(image, preview) {
    this.image = image;
    this.preview = preview;
    this.objects = null;
    this.finding = null;
    this.cache.clear();
  }

  change(changes, gesture = null) {
    this.store.change({region: {...this.region, ...changes}}, gesture);
  }

  listen() {
    const {store, pair} = this, byId = (id) => document.getElementById(id);
    document.querySelectorAll('input[name="tool"]').forEach((input) => input.addEventListener('change', () => {
      this.change({kind: input.value});
      if (input.value === 'object') this.find();
    }));
    byId('feather').addEventListener('input', ({target}) => this.change({feather: Number(target.value)}, 'feather'));
    byId('feather').addEventListener('change', () => store.endGesture());
    byId('invert').addEventListener('change', ({target}) => this.change({invert: target.checked}));
    byId('clear').addEventListener('click', () => this.change({strokes: []}));
    byId('brush-size').addEventListener('input', ({target}) => {
      document.querySelector('output[for="brush-size"]').textContent = `${target.value} %`;
    });
    byId('box-edges').append(...EDGES.map((name, i) => {
      const label = document.createElement('label'), input = document.createElement('input');
      Object.assign(input, {type: 'number', min: 0, step: 1, id: `edge-${i}`});
      label.append(name, input);
      input.addEventListener('change', () => this.typeEdges());
      return label;
    }));
    pair.addEventListener('draw', ({detail}) => this.draw(detail));
    byId('region').addEventListener('toggle', () => this.update());
    store.addEventListener('change', () => this.update());
    this.update();
  }

  update() {
    const {kind, feather, invert, box, strokes} = this.region, byId = (id) => document.getElementById(id);
    document.querySelector(`input[name="tool"][value="${kind}"]`).checked = true;
    byId('region-note').textContent = NOTES[kind];
    byId('region-options').hidden = kind === 'whole';
    byId('brush-options').hidden = kind !== 'brush';
    byId('box-edges').hidden = kind !== 'box';
    byId('save-mask').hidden = !['object', 'brush'].includes(kind);
    byId('clear').disabled = !strokes.length;
    byId('feather').value = feather;
    document.querySelector('output[for="feather"]').textContent = `${feather} px`;
    byId('invert').checked = invert;
    EDGES.forEach((_, i) => {
      const input = byId(`edge-${i}`);
      if (document.activeElement !== input) input.value = box ? box[i] : '';
    });
    this.listObjects();
    const isOpen = byId('region').open && kind !== 'whole';
    this.pair.drawTool = isOpen ? kind : null;
    this.pair.view.classList.toggle('drawing', isOpen);
    this.showSelection(isOpen);
  }

  typeEdges() {
    const box = EDGES.map((_, i) => document.getElementById(`edge-${i}`).valueAsNumber);
    if (box.every(Number.isFinite) && box[0] < box[2] && box[1] < box[3]) this.change({box});
  }

  draw({phase, point}) {
    const {kind, strokes} = this.region, {width, height} = this.image;
    if (kind === 'object' && phase === 'end') this.click(point);
    if (kind === 'brush') {
      const size = document.getElementById('brush-size').value / 200;
      if (phase === 'start') {
        const erase = document.getElementById('erase').checked;
        this.stroke = {points: [point], radius: size * Math.min(width, height), erase};
        this.change({strokes: [...strokes, this.stroke]}, 'stroke');
      } else {
        const points = [...strokes.at(-1).points, point];
        this.change({strokes: [...strokes.slice(0, -1), {...strokes.at(-1), points}]}, 'stroke');
      }
    }
    if (kind === 'box') {
      if (phase === 'start') this.corner = point;
      const [x0, y0] = this.corner, [x1, y1] = point, clamp = (v, high) => Math.max(0, Math.min(high, Math.round(v)));
      const box = [clamp(Math.min(x0, x1), width), clamp(Math.min(y0, y1), height),
        clamp(Math.max(x0, x1), width), clamp(Math.max(y0, y1), height)];
      if (box[0] < box[2] && box[1] < box[3]) this.change({box}, 'box');
    }
    if (phase === 'end') this.store.endGesture();
  }

  /** Find the objects in the photo. The detector is loaded at the first time. */
  find() {
    this.finding ??= this.detect().catch((error) => {
      this.finding = null;
      this.page.say(error.message, true);
    });
    return this.finding;
  }

  async detect() {
    const {engine, cards: {detector}, libraries, base, say} = this.page, {image} = this;
    say('Looking for objects …');
    if (!this.worker) {
      const graph = await load(new URL(detector.file, base).href);
      this.worker = new TaskWorker(new URL('../engine/detector.worker.js', import.meta.url));
      await this.worker.call('start', {libraries, graph});
    }
    const short = Math.min(image.height, image.width), long = Math.max(image.height, image.width);
    const scale = Math.min(detector.min_size / short, detector.max_size / long);
    const size = [image.height, image.width].map((side) => Math.max(1, Math.round(side * scale)));
    let {pixels} = await engine.resized(image, size);
    pixels ??= await engine.pixels(image, {top: 0, left: 0, bottom: size[0], right: size[1]});
    const objects = await this.worker.call('find', {pixels, height: size[0], width: size[1], calibration: detector.calibration});
    if (image !== this.image) return;
    const {preview} = this, guide = {...preview, pixels: new Float32Array(preview.pixels)};
    this.objects = objects.filter(({score}) => score >= MIN_SCORE).map((object) => {
      const box = object.box.map((edge, i) => edge * (i % 2 ? preview.height : preview.width));
      const refined = refineObject({...object, box}, guide);
      return {
        ...refined,
        name: detector.classes[object.label],
        box: refined.box.map((edge, i) => edge * (i % 2 ? image.height / preview.height : image.width / preview.width)),
      };
    });
    say(this.objects.length ? `${this.objects.length} objects found.` : 'No object found. Use the brush or a box.');
    this.update();
  }

  async click(point) {
    await this.find();
    const hits = (this.objects ?? []).map((_, i) => i).filter((i) => this.covers(i, point));
    const area = (i) => this.objects[i].area;
    if (!hits.length) this.page.say('No object was found there. Use the brush or a box.');
    else this.toggle(hits.reduce((a, b) => (area(b) < area(a) ? b : a)));
  }

  /** Return whether an object's mask covers a point of the photo. */
  covers(index, [x, y]) {
    const object = this.objects[index], selection = this.blank(this.reducedSize(512)), {scale} = selection;
    pasteMask(object.mask, object.box.map((edge) => edge * scale), selection);
    object.area = selection.pixels.reduce((sum, value) => sum + value, 0);
    return selection.pixels[Math.floor(y * scale) * selection.width + Math.floor(x * scale)] === 1;
  }

  toggle(index) {
    const {objects} = this.region;
    this.change({objects: objects.includes(index) ? objects.filter((i) => i !== index) : [...objects, index]});
  }

  listObjects() {
    const list = document.getElementById('objects'), {kind, objects} = this.region;
    list.hidden = kind !== 'object' || !this.objects?.length;
    if (list.hidden) return;
    if (list.childElementCount !== this.objects.length || this.listed !== this.objects) {
      this.listed = this.objects;
      list.replaceChildren(...this.objects.map(({name}, i) => {
        const button = document.createElement('button');
        Object.assign(button, {type: 'button', textContent: `${name} ${i + 1}`});
        button.addEventListener('click', () => this.toggle(i));
        return button;
      }));
    }
    [...list.children].forEach((button, i) => button.setAttribute('aria-pressed', String(objects.includes(i))));
  }

  /** Return the height and width of a copy of the photo whose longer side is at most `side`. */
  reducedSize(side) {
    const {width, height} = this.image, scale = Math.min(1, side / Math.max(width, height));
    return {height: Math.max(1, Math.round(height * scale)), width: Math.max(1, Math.round(width * scale))};
  }

  blank({height, width}) {
    return {height, width, scale: width / this.image.width, pixels: new Uint8Array(height * width)};
  }

  /** Return the selected pixels of a copy of the photo. */
  select(size) {
    const selection = this.blank(size), {kind, box, objects, strokes} = this.region, {scale} = selection;
    if (kind === 'box' && box) fillBox(box, scale, selection);
    if (kind === 'object') {
      for (const i of objects) {
        const object = this.objects?.[i];
        if (object) pasteMask(object.mask, object.box.map((edge) => edge * scale), selection);
      }
    }
    if (kind === 'brush') for (const stroke of strokes) paintStroke(stroke, scale, selection);
    return selection;
  }

  /**
   * Return the weights of the region in a copy of the photo, in shared memory; null for the whole
   * photo.
   * @param {{height: number, width: number}} size
   */
  mask(size) {
    const {region} = this, key = size.width;
    if (region.kind === 'whole') return null;
    const cached = this.cache.get(key);
    if (cached?.region === region) return cached.weights;
    const selection = this.select(size), {scale} = selection;
    const weights = new Float32Array(new SharedArrayBuffer(4 * selection.pixels.length));
    featherInto(weights, selection, scale === 1 ? region.feather : Math.round(region.feather * scale), region.invert);
    this.cache.set(key, {region, weights});
    return weights;
  }

  /** Outline the selection in the photo. */
  showSelection(isShown) {
    const {drawing} = this.pair.canvases;
    drawing.hidden = !isShown || !this.image;
    if (drawing.hidden) return;
    const {pixels, height, width} = this.select(this.reducedSize(700));
    const image = new ImageData(width, height);
    for (let i = 0; i < pixels.length; i++) {
      if (!pixels[i]) continue;
      const x = i % width, isEdge = !(x > 0 && x < width - 1 && pixels[i - 1] && pixels[i + 1] && pixels[i - width] && pixels[i + width]);
      image.data.set([40, 225, 200, isEdge ? 255 : 45], 4 * i);
    }
    [drawing.width, drawing.height] = [width, height];
    drawing.getContext('2d').putImageData(image, 0, 0);
    this.pair.place();
  }
}

export {WHOLE};
