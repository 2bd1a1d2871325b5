/** The levels of a guided network's cascade, as in `burnish/runtime/cascade.py`. */

/**
 * Return the size of each level divided by the photo's, smallest first. The last one is 1.
 * @param {[number, number]} size height and width of the photo, px
 */
export function levelRatios(size, guide) {
  const shortSide = Math.min(...size);
  let count = 0;
  if (guide.halved) {
    while (guide.size * 2 ** (count + 1) <= shortSide) count++;
    const step = Math.trunc(Math.log2(guide.max_ratio)), halvings = [];
    for (let n = 0; n < count; n += step) halvings.push(n);
    return [...halvings, count].reverse().map((n) => 0.5 ** n);
  }
  while (guide.size * guide.max_ratio ** count < shortSide) count++;
  const ratios = Array.from({length: count}, (_, i) => (guide.size / shortSide) ** (1 - i / count));
  return [...ratios, 1];
}

/**
 * Return the networks to run for a photo, in order, each with its level's size and ratio.
 * @returns {{part: 'start' | 'network', size: [number, number], ratio: number}[]}
 */
export function cascadeSteps(card, size) {
  if (!card.guide) return [{part: 'network', size, ratio: 1}];
  if (card.guide.start.full_size) return [{part: 'start', size, ratio: 1}];
  return levelRatios(size, card.guide).map((ratio, i) => ({
    part: i ? 'network' : 'start',
    size: size.map((side) => Math.max(1, Math.floor(side * ratio + 0.5))),
    ratio,
  }));
}

/** Return a slider's value for a copy of the photo that is k times as large; it stays in the range. */
export function valueAtSize(param, value, k) {
  const power = param.size_power ?? (param.unit === 'px' ? 1 : 0);
  let scaled = value;
  if (k !== 1 && power) {
    scaled = value * k ** power;
    if (param.integer) scaled = Math.max(1, roundHalfEven(scaled));
  }
  return Math.min(Math.max(scaled, param.low), param.high);
}

export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
