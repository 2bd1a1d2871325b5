/** The settings of the page, with undo and redo. */

/**
 * The part of a photo that an edit applies to; positions are in the photo's pixels.
 * @typedef {object} Region
 * @property {'whole' | 'object' | 'brush' | 'box'} kind
 * @property {number[] | null} box left, top, right, bottom
 * @property {number[]} objects indices of the chosen objects
 * @property {{points: number[][], radius: number, erase: boolean}[]} strokes
 * @property {boolean} invert
 * @property {number} feather px
 */

/**
 * @typedef {object} Settings
 * @property {string} operator
 * @property {Record<string, number>} values of the operator's sliders, by name
 * @property {number} strength
 * @property {Region} region
 */

/** @type {Region} */
export const WHOLE = {kind: 'whole', box: null, objects: [], strokes: [], invert: false, feather: 0};
const MAX_STEPS = 100;

/** Settings are never changed in place: each change makes new ones, and undo returns to old ones. */
export class Store extends EventTarget {
  /** @param {Settings} settings */
  constructor(settings) {
    super();
    this.settings = settings;
    this.past = [];
    this.future = [];
    this.gesture = null;
  }

  /**
   * Change some settings.
   * @param {Partial<Settings>} changes
   * @param {string | null} [gesture] changes of one gesture, such as a slider's, are one step
   */
  change(changes, gesture = null) {
    if (!gesture || gesture !== this.gesture) {
      this.past = [...this.past.slice(1 - MAX_STEPS), this.settings];
      this.future = [];
    }
    this.gesture = gesture;
    this.set({...this.settings, ...changes});
  }

  endGesture() {
    this.gesture = null;
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.settings);
    this.gesture = null;
    this.set(this.past.pop());
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.settings);
    this.gesture = null;
    this.set(this.future.pop());
  }

  /** Forget the regions of another photo. */
  forgetRegions() {
    const whole = (settings) => ({...settings, region: WHOLE});
    [this.past, this.future] = [this.past.map(whole), this.future.map(whole)];
    this.set(whole(this.settings));
  }

  set(settings) {
    this.settings = settings;
    this.dispatchEvent(new Event('change'));
  }
}
