/** The record of an edit, as `burnish/editing/history.py` writes it. */

import {maskName} from './command.js';

/** Return a number as Python writes a float. */
const float = (value) => (Number.isInteger(value) ? `${value}.0` : String(value));

/**
 * Return the record of an edit as JSON.
 * @param {import('./store.js').Settings} settings
 * @param {object} cards
 * @param {string} photo name of the photo
 */
export function editRecord({operator, values, strength, region}, cards, photo) {
  const card = cards.operators[operator];
  const params = card.params.map(({name, value, slider}) =>
    `${JSON.stringify(name)}:${float((slider && values[name]) || value)}`);
  const fields = {
    operator: JSON.stringify(operator),
    params: `{${params.join(',')}}`,
    files: '{}',
    model: JSON.stringify(card.sha256),
    slow: 'false',
    guide: card.guide ? '"network"' : 'null',
    engine: '"onnxruntime"',
    precision: '"fp32"',
    quality: JSON.stringify(card.quality),
    version: JSON.stringify(cards.version),
    region: region.kind === 'whole' ? 'null' : regionRecord(region, photo),
    strength: strength === 1 ? '1' : float(strength),
    continues: 'false',
  };
  return `{${Object.entries(fields).map(([name, text]) => `"${name}":${text}`).join(',')}}`;
}

function regionRecord({kind, box, invert, feather}, photo) {
  const fields = {
    only: '[]', exclude: '[]', detector: 'null', objects: 'null', min_score: 'null', min_area: 'null',
    max_area: 'null', numbers: '[]', clicks: '[]',
    box: kind === 'box' && box ? `[${box.map(float).join(',')}]` : 'null',
    mask: kind === 'box' ? 'null' : JSON.stringify(maskName(photo)),
    invert: String(invert), refine: 'null', threshold: 'null', margin: 'null', grow: 'null', shrink: 'null',
    feather: feather ? float(feather) : 'null', sha256: 'null',
  };
  return `{${Object.entries(fields).map(([name, text]) => `"${name}":${text}`).join(',')}}`;
}
