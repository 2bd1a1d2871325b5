/** The choice of an operator, and its sliders, which follow from its card. */

/** Return the value of a slider at a position from 0 to 1, short enough to be typed. */
export function valueAt(param, position) {
  const {low, high} = param;
  const value = param.scale === 'log' ? low * (high / low) ** position : low + (high - low) * position;
  const short = param.integer ? Math.round(value) : Number(value.toPrecision(3));
  return Math.min(high, Math.max(low, short));
}

export function positionOf(param, value) {
  const {low, high} = param;
  return param.scale === 'log' ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

export class Panel {
  /**
   * @param {object} cards
   * @param {import('./store.js').Store} store
   * @param {URL} base address of the page's own files
   */
  constructor(cards, store, base) {
    this.cards = cards;
    this.store = store;
    this.sliders = document.getElementById('sliders');
    const choices = document.querySelector('#operators .choices');
    for (const [name, {use, summary}] of Object.entries(cards.operators)) {
      const input = element('input', {type: 'radio', name: 'operator', value: name});
      input.addEventListener('change', () => store.change({operator: name, values: {}}));
      const picture = element('img', {alt: '', src: new URL(`pictures/${name}.jpg`, base).href, width: 160, height: 120});
      choices.append(element('label', {className: 'choice', title: summary}, input, picture, element('span', {textContent: use})));
    }
    store.addEventListener('change', () => this.update());
    this.update();
  }

  update() {
    const {operator, values, strength} = this.store.settings;
    document.querySelector(`#operators input[value="${operator}"]`).checked = true;
    if (this.operator !== operator) this.build(operator);
    for (const {param, input, output} of this.rows) {
      const value = param.name === 'strength' ? strength : values[param.name] ?? param.value;
      if (document.activeElement !== input || Math.abs(valueAt(param, input.value / 1000) - value) > 1e-9) {
        input.value = 1000 * positionOf(param, value);
      }
      output.textContent = param.unit ? `${value} ${param.unit}` : `${value}`;
      input.setAttribute('aria-valuetext', output.textContent);
    }
  }

  /** Make the sliders of an operator, and that of the strength. */
  build(operator) {
    this.operator = operator;
    const {summary, params} = this.cards.operators[operator];
    const strength = {...this.cards.strength, isStrength: true};
    this.rows = [...params.filter((param) => param.slider), strength].map((param) => {
      const id = `slider-${param.name}`;
      const input = element('input', {type: 'range', id, min: 0, max: 1000, step: 1});
      input.setAttribute('aria-describedby', `${id}-effect`);
      const output = element('output', {});
      output.htmlFor = id;
      input.addEventListener('input', () => this.slide(param, valueAt(param, input.value / 1000)));
      input.addEventListener('change', () => this.store.endGesture());
      input.addEventListener('dblclick', () => this.slide(param, param.value));
      const name = param.name === 'strength' ? 'Strength' : param.name;
      const effect = element('small', {id: `${id}-effect`, textContent: `A larger value ${param.effect}.`});
      const row = element('div', {className: 'slider'}, element('label', {htmlFor: id, textContent: name}), output, input, effect);
      return {param, input, output, row};
    });
    const note = element('p', {className: 'note', textContent: `${summary}.`});
    this.sliders.replaceChildren(note, ...this.rows.map(({row}) => row));
  }

  slide(param, value) {
    const {values} = this.store.settings;
    if (param.isStrength) this.store.change({strength: value}, 'strength');
    else this.store.change({values: {...values, [param.name]: value}}, param.name);
  }
}
