/** The photo before and after, with one border, zoom and pan in step, and a lens at 100 %. */

const MAX_SCALE = 8;
/** Small photos are not enlarged beyond this to fit. */
const MAX_FIT = 2;
const HANDLE_REACH = 24;
const LENS = 180;

export class Pair extends EventTarget {
  constructor() {
    super();
    this.view = document.getElementById('view');
    this.split = document.getElementById('split');
    this.lens = document.getElementById('lens');
    this.canvases = {
      before: document.querySelector('.layer.before canvas'),
      after: document.querySelector('.layer.after canvas'),
      drawing: document.getElementById('drawing'),
    };
    this.details = [...document.querySelectorAll('.detail')];
    this.photo = null;
    this.pointers = new Map();
    /** Receives strokes in the photo's pixels while a region is drawn. */
    this.drawTool = null;
    this.listen();
  }

  /** Show another photo, of some size. */
  setPhoto(photo) {
    this.photo = photo;
    this.view.hidden = false;
    this.lensAt = [photo.width / 2, photo.height / 2];
    this.hideDetails();
    this.fit();
  }

  /** Draw an image, (height, width, 3) from 0 to 1, on one of the canvases. */
  draw(name, pixels, height, width) {
    paint(this.canvases[name], pixels, height, width);
    this.place();
  }

  /** Draw a part of both images at the photo's own size over the previews. */
  drawDetail(before, after, rectangle) {
    const height = rectangle.bottom - rectangle.top, width = rectangle.right - rectangle.left;
    [before, after].forEach((pixels, i) => paint(this.details[i], pixels, height, width));
    this.detailAt = rectangle;
    this.place();
  }

  hideDetails() {
    this.detailAt = null;
    for (const canvas of this.details) canvas.hidden = true;
  }

  drawLens(before, after, height, width) {
    [...this.lens.querySelectorAll('canvas')].forEach((canvas, i) => paint(canvas, [before, after][i], height, width));
  }

  /** Return the rectangle of the photo that the lens shows. */
  get lensPart() {
    const {width, height} = this.photo, side = LENS;
    const start = (centre, length) => Math.round(Math.max(0, Math.min(length - side, centre - side / 2)));
    const left = start(this.lensAt[0], width), top = start(this.lensAt[1], height);
    return {top, bottom: Math.min(height, top + side), left, right: Math.min(width, left + side)};
  }

  get fitScale() {
    const {clientWidth: w, clientHeight: h} = this.view;
    return Math.min(w / this.photo.width, h / this.photo.height, MAX_FIT * this.fullScale);
  }

  /** CSS pixels for one pixel of the photo at 100 %. */
  get fullScale() {
    return 1 / devicePixelRatio;
  }

  fit() {
    this.fitted = true;
    this.scale = this.fitScale;
    this.centre();
    this.place();
  }

  centre() {
    const {clientWidth: w, clientHeight: h} = this.view;
    this.x = (w - this.photo.width * this.scale) / 2;
    this.y = (h - this.photo.height * this.scale) / 2;
  }

  /** Zoom to a scale; the point at `at` of the view stays there. */
  zoom(scale, at = [this.view.clientWidth / 2, this.view.clientHeight / 2]) {
    const next = Math.max(this.fitScale, Math.min(MAX_SCALE, scale)), factor = next / this.scale;
    if (next <= this.fitScale) return this.fit();
    this.fitted = false;
    this.x = at[0] - (at[0] - this.x) * factor;
    this.y = at[1] - (at[1] - this.y) * factor;
    this.scale = next;
    this.place();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.place();
  }

  /** Place canvases, border and lens after a change. */
  place() {
    if (!this.photo) return;
    const {clientWidth: w, clientHeight: h} = this.view, {width, height} = this.photo;
    const keep = (start, length, room) =>
      (length <= room ? (room - length) / 2 : Math.min(0, Math.max(room - length, start)));
    this.x = keep(this.x, width * this.scale, w);
    this.y = keep(this.y, height * this.scale, h);
    for (const canvas of Object.values(this.canvases)) this.placeCanvas(canvas, 0, 0, width, height);
    if (this.detailAt) {
      const {top, bottom, left, right} = this.detailAt;
      for (const canvas of this.details) {
        canvas.hidden = false;
        this.placeCanvas(canvas, left, top, right - left, bottom - top);
      }
    }
    const share = this.split.value / 100, left = Math.max(0, this.x), right = Math.min(w, this.x + width * this.scale);
    this.border = left + share * (right - left);
    this.view.style.setProperty('--split', `${this.border}px`);
    const [lx, ly] = this.toView(this.lensAt);
    this.lens.style.left = `${Math.max(190, Math.min(w - 190, lx))}px`;
    this.lens.style.top = `${Math.max(110, Math.min(h - 110, ly))}px`;
    this.dispatchEvent(new Event('placed'));
  }

  placeCanvas(canvas, left, top, width, height) {
    if (!canvas.width) return;
    const x = this.scale * (width / canvas.width), y = this.scale * (height / canvas.height);
    canvas.style.transform = `translate(${this.x + left * this.scale}px, ${this.y + top * this.scale}px) scale(${x}, ${y})`;
    canvas.style.imageRendering = x * devicePixelRatio > 2.5 ? 'pixelated' : 'auto';
  }

  /** Return the part of the photo that is visible. */
  get visible() {
    const {clientWidth: w, clientHeight: h} = this.view, {width, height} = this.photo;
    return {
      left: Math.max(0, Math.floor(-this.x / this.scale)),
      top: Math.max(0, Math.floor(-this.y / this.scale)),
      right: Math.min(width, Math.ceil((w - this.x) / this.scale)),
      bottom: Math.min(height, Math.ceil((h - this.y) / this.scale)),
    };
  }

  toPhoto([x, y]) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  toView([x, y]) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  show(mode) {
    this.view.dataset.show = mode;
    document.querySelector(`input[name="show"][value="${mode}"]`).checked = true;
  }

  moveSplit(percent) {
    this.split.value = Math.max(0, Math.min(100, percent));
    this.place();
  }

  toggleLens(shown = this.lens.hidden) {
    this.lens.hidden = !shown;
    document.getElementById('lens-button').setAttribute('aria-pressed', String(shown));
    if (this.photo) this.place();
    this.dispatchEvent(new Event('lens'));
  }

  moveLens(dx, dy) {
    const {width, height} = this.photo;
    this.lensAt = [Math.max(0, Math.min(width, this.lensAt[0] + dx)), Math.max(0, Math.min(height, this.lensAt[1] + dy))];
    this.place();
    this.dispatchEvent(new Event('lens'));
  }

  listen() {
    const {view} = this;
    this.show('pair');
    this.split.addEventListener('input', () => this.place());
    new ResizeObserver(() => this.photo && (this.fitted ? this.fit() : this.place())).observe(view);
    view.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(this.scale * 1.0015 ** -event.deltaY, this.position(event));
    }, {passive: false});
    view.addEventListener('dblclick', (event) => {
      if (this.drawTool) return;
      if (this.fitted) this.zoom(this.fullScale, this.position(event));
      else this.fit();
    });
    view.addEventListener('pointerdown', (event) => this.press(event));
    view.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) {
      view.addEventListener(name, (event) => this.release(event));
    }
    this.lens.addEventListener('keydown', (event) => {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.moveLens(...step.map((value) => value * (event.shiftKey ? LENS : LENS / 6)));
    });
  }

  position(event) {
    const {left, top} = this.view.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  press(event) {
    if (event.button > 0) return;
    const at = this.position(event);
    this.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.drag = 'pinch';
      return;
    }
    const nearBorder = Math.abs(at[0] - this.border) < HANDLE_REACH && this.view.dataset.show === 'pair';
    if (this.lens.contains(event.target)) this.drag = 'lens';
    else if (this.drawTool && !(nearBorder && this.drawTool !== 'brush' && this.isHandle(at))) this.drag = 'draw';
    else if (this.view.dataset.show === 'pair' && (this.fitted || nearBorder)) this.drag = 'split';
    else this.drag = 'pan';
    if (this.drag === 'split') this.splitTo(at[0]);
    if (this.drag === 'draw') this.emitDraw('start', at);
  }

  /** Return whether a position is on the round handle. */
  isHandle([x, y]) {
    return Math.hypot(x - this.border, y - this.view.clientHeight / 2) < HANDLE_REACH;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const at = this.position(event), [dx, dy] = [at[0] - before[0], at[1] - before[1]];
    if (this.drag === 'pinch' && this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()], old = Math.hypot(a[0] - b[0], a[1] - b[1]);
      this.pointers.set(event.pointerId, at);
      const [c, d] = [...this.pointers.values()];
      this.zoom(this.scale * (Math.hypot(c[0] - d[0], c[1] - d[1]) / old), [(c[0] + d[0]) / 2, (c[1] + d[1]) / 2]);
      if (!this.fitted) this.pan(dx / 2, dy / 2);
      return;
    }
    this.pointers.set(event.pointerId, at);
    if (this.drag === 'split') this.splitTo(at[0]);
    else if (this.drag === 'pan') this.pan(dx, dy);
    else if (this.drag === 'lens') this.moveLens(dx / this.scale, dy / this.scale);
    else if (this.drag === 'draw') this.emitDraw('move', at);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.drag === 'draw') this.emitDraw('end', this.position(event));
    if (!this.pointers.size) this.drag = null;
  }

  splitTo(x) {
    const left = Math.max(0, this.x), right = Math.min(this.view.clientWidth, this.x + this.photo.width * this.scale);
    this.moveSplit((100 * (x - left)) / (right - left));
  }

  emitDraw(phase, at) {
    this.dispatchEvent(new CustomEvent('draw', {detail: {phase, point: this.toPhoto(at)}}));
  }
}

/** Draw an image, (height, width, 3) from 0 to 1, on a canvas. */
function paint(canvas, pixels, height, width) {
  const image = new ImageData(width, height), {data} = image;
  for (let i = 0, k = 0; k < data.length; k += 4, i += 3) {
    data[k] = 255 * pixels[i] + 0.5;
    data[k + 1] = 255 * pixels[i + 1] + 0.5;
    data[k + 2] = 255 * pixels[i + 2] + 0.5;
    data[k + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(image, 0, 0);
}
