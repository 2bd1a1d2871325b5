/** Starts the page, and connects its parts. */

import {Engine} from '../engine/model.js';
import {Pool, load} from '../engine/pool.js';
import {Photos} from '../photo/photos.js';
import {formatCommand, maskName, parseCommand} from './command.js';
import {Pair} from './pair.js';
import {Panel} from './panel.js';
import {editRecord} from './record.js';
import {RegionTools} from './region.js';
import {Store, WHOLE} from './store.js';
import {isIsolated, isolate, offerOffline} from './offline.js';

const PREVIEW_PIXELS = 1_000_000;
const MAX_DETAIL_PIXELS = 2_000_000;
const MAX_RESULTS = 6;
/** A slider that has not moved for this time rests. */
const REST_MS = 200;
/** The first look at a photo: an operator with values that are mild. */
const START = {operator: 'multiscale-tone', values: {fine: 0.8, medium: 0.6, coarse: 0.4}};
const base = new URL('../', import.meta.url);
const byId = (id) => document.getElementById(id);

/** Show a message below the photo. */
function say(text, isProblem = false) {
  byId('state').textContent = text;
  byId('state').classList.toggle('problem', isProblem);
  byId('tools').hidden = false;
}

class Page {
  constructor(cards, srgb) {
    const libraries = new URL(cards.libraries, base).href;
    for (const {files, preview_network: preview} of Object.values(cards.operators)) {
      for (const own of [files, preview?.files ?? {}]) {
        for (const part of Object.keys(own)) own[part] = new URL(own[part], base).href;
      }
    }
    this.cards = cards;
    const workers = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 2));
    this.engine = new Engine(new Pool(workers, {libraries, srgb}), cards);
    this.photos = new Photos({libraries, srgb});
    this.store = new Store({...START, strength: 1, region: WHOLE});
    this.panel = new Panel(cards, this.store, base);
    this.pair = new Pair();
    this.tools = new RegionTools(this.store, this.pair, {engine: this.engine, cards, libraries, base, say});
    this.files = [];
    this.results = new Map();
    this.store.addEventListener('change', () => this.update());
    this.pair.addEventListener('placed', () => this.requestDetail());
    this.pair.addEventListener('lens', () => this.requestLens());
    this.listen();
    this.update();
    this.photos.prepare().catch(() => {});
    this.engine.prepare(this.store.settings.operator).catch(() => {});
  }

  listen() {
    const {pair, store} = this, file = byId('file');
    for (const id of ['open', 'choose']) byId(id).addEventListener('click', () => file.click());
    file.addEventListener('change', () => {
      this.addFiles([...file.files]);
      file.value = '';
    });
    byId('sample').addEventListener('click', () => this.openSample());
    byId('undo').addEventListener('click', () => store.undo());
    byId('redo').addEventListener('click', () => store.redo());
    byId('save').addEventListener('click', () => this.save());
    byId('save-mask').addEventListener('click', () => this.saveMask());
    byId('copy').addEventListener('click', () => this.copyCommand());
    byId('command-text').addEventListener('input', ({target}) => this.readCommand(target.value));
    byId('panel').addEventListener('submit', (event) => event.preventDefault());
    document.querySelectorAll('input[name="show"]').forEach((input) =>
      input.addEventListener('change', () => pair.show(input.value)));
    byId('zoom-in').addEventListener('click', () => pair.zoom(pair.scale * 1.5));
    byId('zoom-out').addEventListener('click', () => pair.zoom(pair.scale / 1.5));
    byId('zoom-fit').addEventListener('click', () => pair.fit());
    byId('zoom-full').addEventListener('click', () => pair.zoom(pair.fullScale));
    byId('lens-button').addEventListener('click', () => pair.toggleLens());
    addEventListener('keydown', (event) => this.press(event));
    addEventListener('dragover', (event) => {
      event.preventDefault();
      byId('stage').classList.add('over');
    });
    addEventListener('dragleave', (event) => event.relatedTarget || byId('stage').classList.remove('over'));
    addEventListener('drop', (event) => {
      event.preventDefault();
      byId('stage').classList.remove('over');
      this.addFiles([...event.dataTransfer.files]);
    });
    addEventListener('paste', (event) => {
      const files = [...event.clipboardData.files];
      if (files.length) this.addFiles(files);
    });
    addEventListener('beforeunload', (event) => { if (this.saving) event.preventDefault(); });
  }

  press(event) {
    const {pair, store} = this, key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      const actions = {z: () => (event.shiftKey ? store.redo() : store.undo()), y: () => store.redo(),
        s: () => this.save(), o: () => byId('file').click()};
      if (!actions[key] || (event.target.matches('textarea') && 'zy'.includes(key))) return;
      event.preventDefault();
      actions[key]();
      return;
    }
    if (event.altKey || !pair.photo || event.target.matches('textarea, input[type="number"]')) return;
    const actions = {
      1: () => pair.show('before'), 2: () => pair.show('pair'), 3: () => pair.show('after'),
      '+': () => pair.zoom(pair.scale * 1.5), '=': () => pair.zoom(pair.scale * 1.5), '-': () => pair.zoom(pair.scale / 1.5),
      0: () => pair.fit(), 9: () => pair.zoom(pair.fullScale), l: () => pair.toggleLens(),
    };
    // Arrows belong to the sliders and choices that have the focus.
    if (!event.target.matches('input, select, summary, figure')) {
      const step = event.shiftKey ? 60 : 20;
      Object.assign(actions, pair.fitted ? {
        arrowleft: () => pair.moveSplit(Number(pair.split.value) - (event.shiftKey ? 10 : 2)),
        arrowright: () => pair.moveSplit(Number(pair.split.value) + (event.shiftKey ? 10 : 2)),
      } : {
        arrowleft: () => pair.pan(step, 0), arrowright: () => pair.pan(-step, 0),
        arrowup: () => pair.pan(0, step), arrowdown: () => pair.pan(0, -step),
      });
    }
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  }

  async openSample() {
    const bytes = await load(new URL('sample.jpg', base)).catch((error) => say(error.message, true));
    if (bytes) this.addFiles([new File([bytes], 'coffee.jpg')]);
  }

  addFiles(files) {
    if (!files.length) return;
    this.files.push(...files);
    this.openFile(files[0]);
  }

  listFiles() {
    const nav = byId('photos');
    nav.hidden = this.files.length < 2;
    nav.replaceChildren(...this.files.map((file) => {
      const button = document.createElement('button');
      Object.assign(button, {type: 'button', textContent: file.name, title: file.name});
      if (file === this.file) button.setAttribute('aria-current', 'true');
      button.addEventListener('click', () => this.openFile(file));
      return button;
    }));
  }

  /** Open a photo. If it cannot be opened, the one before stays. */
  async openFile(file) {
    const start = performance.now();
    this.opening = file;
    say(`Opening ${file.name} …`);
    let photo;
    try {
      photo = await this.photos.open(file);
    } catch (error) {
      if (this.opening !== file) return;
      this.files = this.files.filter((other) => other !== file);
      this.photos.renew();
      this.listFiles();
      say(`${file.name}: ${error.message}`, true);
      const remedy = error.message.endsWith('with the command');
      if (remedy) this.showCommand(file.name);
      return;
    }
    if (this.opening !== file) return;
    this.running?.abort();
    this.results.clear();
    const {image} = photo, area = image.width * image.height, ratio = Math.min(1, Math.sqrt(PREVIEW_PIXELS / area));
    const size = [image.height, image.width].map((side) => Math.max(1, Math.round(side * ratio)));
    const preview = ratio < 1 ? await this.engine.resized(image, size)
      : {height: image.height, width: image.width, pixels: await this.engine.pixels(image, whole(image))};
    if (this.opening !== file) return;
    Object.assign(this, {photo, file, preview, ratio});
    document.body.classList.remove('empty');
    byId('welcome').hidden = true;
    byId('save').disabled = false;
    this.tools.setPhoto(image, preview);
    this.pair.setPhoto(image);
    const {pixels, height, width} = preview;
    this.pair.draw('before', new Float32Array(pixels), height, width);
    this.pair.draw('after', new Float32Array(pixels), height, width);
    this.listFiles();
    document.title = `${file.name} – burnish`;
    this.warnings = photo.warnings;
    this.store.forgetRegions();
    await this.previewing;
    performance.measure('opened', {start});
  }

  /** Show the settings everywhere after a change. */
  update() {
    const {store} = this, {operator} = store.settings;
    byId('undo').disabled = !store.past.length;
    byId('redo').disabled = !store.future.length;
    if (document.activeElement !== byId('command-text')) this.showCommand();
    this.pair.hideDetails();
    if (this.photo) this.previewing = this.showPreview();
    else this.engine.prepare(operator).catch(() => {});
    this.requestLens();
  }

  showCommand(name = this.file?.name ?? 'photo.jpg') {
    byId('command-text').value = formatCommand(this.store.settings, this.cards, name);
    const {kind} = this.store.settings.region;
    byId('command-note').textContent = ['object', 'brush'].includes(kind) ? 'Save the mask beside the photo first.' : '';
  }

  /** Return whether the values switch the operator off, or the region is empty. */
  isOff({operator, values, strength}) {
    const switches = this.cards.operators[operator].params.filter(({off}) => off !== null);
    return strength === 0 || (switches.length > 0 && switches.every(({name, off, value}) => (values[name] ?? value) === off));
  }

  /** Return the result for the preview. Results for settings that were used lately are kept. */
  async previewResult(settings, signal) {
    if (this.isOff(settings)) return new Float32Array(this.preview.pixels);
    const key = resultKey(settings), cached = this.results.get(key);
    const result = cached
      ?? new Float32Array(await this.engine.run(this.preview, settings, {ratio: this.ratio, signal}));
    this.results.delete(key);
    this.results.set(key, result);
    if (this.results.size > MAX_RESULTS) this.results.delete(this.results.keys().next().value);
    return result;
  }

  /** Show a result for the preview. */
  drawPreview(after, settings) {
    const {pixels, height, width} = this.preview, mask = this.tools.mask(this.preview);
    this.pair.draw('after', mix(new Float32Array(pixels), after, settings.strength, mask), height, width);
    this.shown = settings.operator;
  }

  async showPreview() {
    this.running?.abort();
    const running = new AbortController(), {signal} = running, {settings, gesture} = this.store;
    const {photo, ratio} = this, start = performance.now();
    this.running = running;
    document.body.classList.add('busy');
    try {
      await this.quick;
      signal.throwIfAborted();
      // The first visit needs no preview network.
      const isNew = this.shown && this.shown !== settings.operator;
      if ((gesture || isNew) && this.isSlow(settings)) {
        // If it cannot be loaded, the standard network alone shows the result.
        this.quick = this.showQuick(settings).catch(() => {});
        await this.quick;
        if (gesture) await new Promise((resolve) => setTimeout(resolve, start + REST_MS - performance.now()));
        signal.throwIfAborted();
      }
      const after = await this.previewResult(settings, signal);
      if (signal.aborted || photo !== this.photo) return;
      this.drawPreview(after, settings);
      performance.measure('preview', {start});
      const percent = Math.round(100 * ratio);
      const note = ratio < 1 ? `Preview at ${percent} % of the size. Zoom in, or use the lens, for the real result.` : 'This is the real result.';
      if (!this.saving) say([...this.warnings ?? [], note].join(' · '));
      this.requestDetail();
    } catch (error) {
      if (error.name !== 'AbortError') say(error.message, true);
    } finally {
      if (this.running === running) document.body.classList.remove('busy');
    }
  }

  /** Return whether a result takes time that the preview network shortens. */
  isSlow(settings) {
    return this.cards.operators[settings.operator].preview_network && !this.isOff(settings)
      && !this.results.has(resultKey(settings));
  }

  /**
   * Show the result of the preview network. It is shown even if the settings have changed meanwhile,
   * so that the view follows a moving slider.
   */
  async showQuick(settings) {
    const {photo, preview, ratio, engine} = this, start = performance.now();
    const after = new Float32Array(await engine.run(preview, settings, {ratio, quality: 'preview'}));
    if (photo !== this.photo) return;
    this.drawPreview(after, settings);
    if (!this.saving) say('Quick preview …');
    performance.measure('quick', {start});
  }

  /** Compute the visible part at the photo's own size, if the preview is too coarse for it. */
  requestDetail() {
    const {pair, ratio} = this, percent = Math.round(100 * pair.scale * devicePixelRatio);
    byId('zoom').textContent = pair.fitted ? 'Fit' : `${percent} %`;
    clearTimeout(this.detailTimer);
    if (!this.photo || ratio === 1 || pair.scale * devicePixelRatio < 1.15 * ratio) return;
    this.detailTimer = setTimeout(() => this.showDetail(), 250);
  }

  async showDetail() {
    const part = this.pair.visible, area = (part.right - part.left) * (part.bottom - part.top);
    const shown = this.pair.detailAt;
    const isShown = shown && ['left', 'top'].every((edge) => shown[edge] <= part[edge])
      && ['right', 'bottom'].every((edge) => shown[edge] >= part[edge]);
    if (isShown || area > MAX_DETAIL_PIXELS || area <= 0) return;
    await this.showPart(part, (before, after) => {
      this.pair.drawDetail(before, after, part);
      if (!this.saving) say('This part is the real result.');
    });
  }

  requestLens() {
    clearTimeout(this.lensTimer);
    if (!this.photo || this.pair.lens.hidden) return;
    this.lensTimer = setTimeout(() => {
      const part = this.pair.lensPart;
      this.showPart(part, (before, after) =>
        this.pair.drawLens(before, after, part.bottom - part.top, part.right - part.left));
    }, 120);
  }

  /** Compute a part of the photo at its own size, and pass it to a function unless it is outdated. */
  async showPart(part, show) {
    const {photo, engine, store: {settings}} = this, {image} = photo;
    try {
      await this.previewing;
      const before = new Float32Array(await engine.pixels(image, part));
      const isCurrent = () => photo === this.photo && settings === this.store.settings;
      if (!isCurrent()) return;
      const after = this.isOff(settings) ? before : new Float32Array(await engine.run(image, settings, {part}));
      if (!isCurrent()) return;
      const mask = this.tools.mask(image);
      show(before, mix(before, after, settings.strength, mask && cut(mask, image.width, part)));
    } catch (error) {
      if (error.name !== 'AbortError') say(error.message, true);
    }
  }

  async save() {
    if (!this.photo || this.saving) return;
    const {photo, engine, cards, store: {settings}} = this, start = performance.now();
    this.saving = true;
    byId('save').disabled = true;
    const progress = byId('progress');
    progress.hidden = false;
    progress.removeAttribute('value');
    say('Saving …');
    try {
      await this.previewing;
      this.photos.prepare();
      const mask = this.tools.mask(photo.image), edit = {strength: settings.strength, mask: mask?.buffer ?? null};
      const isUnchanged = this.isOff(settings) || (mask && !mask.some((weight) => weight));
      const codes = isUnchanged ? photo.image.codes.buffer
        : await engine.run(photo.image, settings, {edit, onTile: (done) => { progress.value = 0.9 * done; }});
      const {file, warnings} = await this.photos.encode(photo, codes, editRecord(settings, cards, photo.name));
      const name = resultName(photo.name, settings.operator);
      download(file, name);
      performance.measure('saved', {start});
      say([`Saved ${name} in ${((performance.now() - start) / 1000).toFixed(1)} s.`, ...warnings].join(' · '));
    } catch (error) {
      this.photos.renew();
      say(`${photo.name}: ${error.message}`, true);
    }
    this.saving = false;
    progress.hidden = true;
    byId('save').disabled = false;
  }

  async saveMask() {
    const {photo, tools} = this, {height, width} = photo.image, selection = tools.select(photo.image);
    const mask = new Float32Array(new SharedArrayBuffer(4 * height * width));
    mask.set(selection.pixels);
    const file = await this.photos.encodeMask(mask, height, width);
    download(file, maskName(photo.name));
  }

  async copyCommand() {
    const field = byId('command-text');
    try {
      await navigator.clipboard.writeText(field.value);
      byId('command-note').textContent = 'Copied.';
    } catch {
      field.select();
      byId('command-note').textContent = 'Press Ctrl + C to copy it.';
    }
  }

  readCommand(text) {
    try {
      const settings = parseCommand(text, this.cards);
      const {region} = this.store.settings;
      if (/--mask\b/.test(text)) settings.region = {...region, feather: settings.region.feather, invert: settings.region.invert};
      this.store.change(settings);
      byId('command-note').textContent = 'The page shows this command.';
    } catch (error) {
      byId('command-note').textContent = error.message;
    }
  }
}

const whole = ({height, width}) => ({top: 0, left: 0, bottom: height, right: width});

const resultKey = ({operator, values}) => JSON.stringify([operator, values]);

/** Return before + strength * weight * (after - before). */
function mix(before, after, strength, mask) {
  if (strength === 1 && !mask) return after;
  const mixed = new Float32Array(before.length);
  for (let i = 0, k = 0; k < mixed.length; i++) {
    const share = strength * (mask ? mask[i] : 1);
    for (let c = 0; c < 3; c++, k++) mixed[k] = before[k] + share * (after[k] - before[k]);
  }
  return mixed;
}

/** Return a rectangle of a mask. */
function cut(mask, width, {top, bottom, left, right}) {
  const rows = [];
  for (let y = top; y < bottom; y++) rows.push(mask.subarray(y * width + left, y * width + right));
  const part = new Float32Array((bottom - top) * (right - left));
  rows.forEach((row, i) => part.set(row, i * (right - left)));
  return part;
}

/** Return the name that the command gives to a result. */
function resultName(name, operator) {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? `${name.slice(0, dot)}.${operator}${name.slice(dot)}` : `${name}.${operator}`;
}

function download(file, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file], {type: 'application/octet-stream'}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function start() {
  if (!isIsolated() && !(await isolate())) {
    byId('welcome').replaceChildren(Object.assign(document.createElement('p'), {
      className: 'large',
      textContent: 'This browser or window lacks what the page needs: shared memory in an isolated page. '
        + 'Use a recent Chrome, Edge, Firefox or Safari, outside a private window.',
    }));
    return;
  }
  const [cards, srgb] = await Promise.all([load(new URL('cards.json', base)), load(new URL('srgb.icc', base))]);
  const page = new Page(JSON.parse(new TextDecoder().decode(cards)), new Uint8Array(srgb));
  offerOffline(say);
  window.burnish = page;
}

start().catch((error) => say(error.message, true));
