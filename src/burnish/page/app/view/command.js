/** The settings as a command, and a command as settings. */

import {WHOLE} from './store.js';

/** Return text as one word of a shell. */
export const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
const number = (value) => String(Number(value.toFixed(2)));

export const maskName = (photo) => `${photo}.mask.png`;

/** Return the command that gives the page's result. */
export function formatCommand(settings, cards, photo) {
  const {operator, values, strength, region} = settings, card = cards.operators[operator];
  const words = ['burnish', 'apply', operator, quote(photo.startsWith('-') ? `./${photo}` : photo)];
  if (card.guide) words.push('--guide', 'network');
  words.push('--precision', 'fp32');
  for (const {name, slider, value} of card.params) {
    if (slider && (values[name] ?? value) !== value) words.push(`--${name}`, String(values[name]));
  }
  if (strength !== 1) words.push('--strength', String(strength));
  if (region.kind === 'box' && region.box) words.push('--box', region.box.map(number).join(','));
  else if (region.kind !== 'whole') words.push('--mask', quote(maskName(photo)));
  if (region.kind !== 'whole') {
    if (region.feather) words.push('--feather', String(region.feather));
    if (region.invert) words.push('--invert');
  }
  return words.join(' ');
}

/** Split a command into words as a shell does. */
function splitWords(text) {
  const words = [], pattern = /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^\s'"\\]+)|(\s+)/gs;
  let word = null;
  for (const [, single, double, escaped, plain, space] of text.trim().matchAll(pattern)) {
    if (space !== undefined) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + (single ?? double?.replace(/\\(.)/g, '$1') ?? escaped ?? plain);
  }
  return word === null ? words : [...words, word];
}

const FLAGS = new Set(['--invert', '--overwrite', '--quiet', '--json', '--recursive']);
/** Options that say how the command runs and not what it does. */
const IGNORED = new Set(['-o', '--output', '--name', '--threads', '--device', '--engine', '--jobs']);

/**
 * Return the settings of a command.
 * @returns {import('./store.js').Settings}
 */
export function parseCommand(text, cards) {
  const words = splitWords(text.replace(/^\s*\$\s*/, ''));
  if (words[0] === 'burnish') words.shift();
  if (words[0] === 'apply') words.shift();
  const operator = words.shift();
  const card = cards.operators[operator];
  if (!card) throw new Error(`${operator ?? 'the command'}: the page has no such operator`);
  const settings = {operator, values: {}, strength: 1, region: {...WHOLE}};
  while (words.length) {
    const [option, ...joined] = words.shift().split('='), name = option.replace(/^--/, '');
    if (!option.startsWith('-')) continue;  // a photo
    if (FLAGS.has(option)) {
      if (option === '--invert') settings.region.invert = true;
      continue;
    }
    const value = joined.length ? joined.join('=') : words.shift();
    if (value === undefined) throw new Error(`${option}: a value is missing`);
    const param = name === 'strength' ? cards.strength : card.params.find((p) => p.name === name);
    if (param) readValue(settings, param, value, card);
    else if (option === '--box') settings.region = {...settings.region, kind: 'box', box: readBox(value)};
    else if (option === '--feather') settings.region.feather = readNumber(option, value, 0, 1000);
    else if (option === '--guide') {
      if (value !== 'network') throw new Error('--guide: in the page, the network is the guide; results differ a little');
    } else if (option === '--precision') {
      if (!['auto', 'fp32'].includes(value)) throw new Error('--precision: the page computes in fp32 only');
    } else if (option === '--quality') {
      if (value !== 'standard') throw new Error('--quality: the page saves standard results, and JPEG at 95, only');
    } else if (!IGNORED.has(option)) throw new Error(`${option}: the page does not know this option`);
  }
  return settings;
}

function readValue(settings, param, text, card) {
  const value = readNumber(`--${param.name}`, text, param.low, param.high);
  if (param.name === 'strength' && !card.params.includes(param)) settings.strength = value;
  else if (param.slider) settings.values[param.name] = value;
  else if (value !== param.value) {
    throw new Error(`--${param.name}: the network was trained at ${param.value} only`);
  }
}

function readNumber(option, text, low, high) {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= low && value <= high)) throw new Error(`${option}: expected ${low} to ${high}, got ${text}`);
  return value;
}

function readBox(text) {
  const box = text.split(',').map(Number);
  if (box.length !== 4 || !(box[0] < box[2] && box[1] < box[3])) {
    throw new Error('--box: expected left, top, right, bottom, such as 10,20,200,300');
  }
  return box;
}
