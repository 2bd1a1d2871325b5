/**
 * XMP packets, and the history of edits in them; see `burnish/photo/xmp.py` and
 * `burnish/editing/history.py`. The packet of another program keeps every byte, but for properties
 * that an edit makes false.
 */

import {bytesOf, latin1} from './bytes.js';

const NAMESPACE = 'urn:burnish:xmp#', RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#';
const EMPTY_PACKET = `<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>`;
const SPACE = '(?<!\\s)\\s*', VALUE = `\\s*=\\s*(?:"[^"<]*"|'[^'<]*')`;
const OWN_DESCRIPTION = new RegExp(
  `${SPACE}<rdf:Description(?=[^<>]*urn:burnish:xmp#)(?:\\s+(?:rdf:about|xmlns:\\w+|burnish:\\w+)${VALUE})*\\s*/>`, 'g');
const RDF_END = new RegExp(`${SPACE}</(\\w+):RDF>`);
/** Namespace -> beginnings of the names of properties that claim something behind the image. */
const CLAIMS = {
  'http://ns.adobe.com/hdr-gain-map/1.0/': '',
  'http://ns.apple.com/HDRGainMap/1.0/': '',
  'http://ns.google.com/photos/1.0/camera/': 'MotionPhoto|MicroVideo',
  'http://ns.google.com/photos/1.0/container/': 'Directory',
  'http://ns.google.com/photos/dd/1.0/device/': 'Container',
  'http://ns.oplus.com/photos/1.0/camera/': 'MotionPhoto|VideoLength|OLivePhoto',
};

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Return a packet for an upright image without anything behind it. */
export function resetXmp(xmp) {
  let packet = latin1(xmp).replace(/(tiff:Orientation(?:\s*=\s*["']|>\s*))[2-8]/g, '$11');
  for (const [namespace, names] of Object.entries(CLAIMS)) packet = removeProperties(packet, namespace, names);
  return bytesOf(packet);
}

function removeProperties(packet, namespace, names) {
  const declaration = (prefix) => `(?<!\\s)\\s+xmlns:${prefix}\\s*=\\s*["']${escape(namespace)}["']`;
  const prefixes = new Set(Array.from(packet.matchAll(new RegExp(declaration('([\\w.-]+)'), 'g')), (match) => match[1]));
  for (const prefix of prefixes) {
    const name = `${escape(prefix)}:(?:${names})[\\w.-]*`;
    packet = packet.replace(new RegExp(`(?<!\\s)\\s+${name}${VALUE}`, 'g'), '');
    packet = removeElements(packet, new RegExp(`${SPACE}<(${name})(?=[\\s/>])`, 'g'));
    if (!packet.replaceAll(namespace, '').includes(`${prefix}:`)) {
      packet = packet.replace(new RegExp(declaration(escape(prefix)), 'g'), '');
    }
  }
  return packet;
}

function removeElements(packet, start) {
  let kept = '', at = 0;
  for (let match; (start.lastIndex = at, match = start.exec(packet));) {
    const opening = packet.indexOf('>', start.lastIndex) + 1;
    let end = opening;
    if (opening && packet[opening - 2] !== '/') {
      const closing = packet.indexOf(`</${match[1]}`, opening);
      end = closing >= 0 ? packet.indexOf('>', closing) + 1 : 0;
    }
    if (!end) break;
    kept += packet.slice(at, match.index);
    at = end;
  }
  return kept + packet.slice(at);
}

/** Quote the value of an attribute as Python's `quoteattr` does. */
function quoteAttribute(text) {
  const replaced = text.replaceAll('&', '&amp;').replaceAll('>', '&gt;').replaceAll('<', '&lt;')
    .replaceAll('\n', '&#10;').replaceAll('\r', '&#13;').replaceAll('\t', '&#9;');
  if (!replaced.includes('"')) return `"${replaced}"`;
  return replaced.includes("'") ? `"${replaced.replaceAll('"', '&quot;')}"` : `'${replaced}'`;
}

/** Return a property of burnish's, or null if the packet lacks it or is broken. */
function getProperty(packet, name) {
  let root;
  try {
    const text = new TextDecoder('utf-8', {fatal: true}).decode(bytesOf(packet));
    root = new DOMParser().parseFromString(text.replace(/^[\0\s]+|[\0\s]+$/g, ''), 'application/xml');
  } catch {
    return null;
  }
  if (root.querySelector('parsererror')) return null;
  for (const description of root.getElementsByTagNameNS(RDF, 'Description')) {
    const child = [...description.children].find((c) => c.namespaceURI === NAMESPACE && c.localName === name);
    const value = description.getAttributeNS(NAMESPACE, name) ?? child?.textContent;
    if (value != null) return value;
  }
  return null;
}

function setProperty(xmp, name, value) {
  let packet = removeOwnProperty(xmp ?? EMPTY_PACKET, name);
  const end = RDF_END.exec(packet);
  if (!end) throw new Error('the RDF has no end tag');
  const subject = /\brdf:about\s*=\s*("[^"<]*"|'[^'<]*')/.exec(packet)?.[1] ?? '""';
  const utf8 = latin1(new TextEncoder().encode(quoteAttribute(value)));
  const description = `\n  <rdf:Description rdf:about=${subject} xmlns:rdf="${RDF}" xmlns:burnish="${NAMESPACE}" burnish:${name}=${utf8}/>`;
  packet = packet.slice(0, end.index) + description + packet.slice(end.index);
  if (getProperty(packet, name) !== value) throw new Error('the packet is not XML in UTF-8');
  return packet;
}

function removeOwnProperty(packet, name) {
  packet = packet.replace(OWN_DESCRIPTION, '');
  const prefixes = new Set(Array.from(packet.matchAll(/xmlns:(\w+)\s*=\s*["']urn:burnish:xmp#["']/g), (match) => match[1]));
  for (const prefix of prefixes) {
    const key = `${prefix}:${name}`;
    packet = packet.replace(new RegExp(`(<\\w+:\\w+(?:\\s[^<>]*?)?)\\s${key}${VALUE}`, 'g'), '$1')
      .replace(new RegExp(`${SPACE}<${key}(?:\\s[^<>]*)?>[^<]*</${key}\\s*>`, 'g'), '');
  }
  return packet;
}

/**
 * Return a packet with a record added to the history of edits.
 * @param {Uint8Array | null} xmp
 * @param {string} record JSON
 */
export function addRecord(xmp, record) {
  const packet = xmp && latin1(xmp), history = (packet && getProperty(packet, 'History')) || '[]';
  let earlier = '';
  try {
    if (JSON.parse(history).length) earlier = `${history.trim().slice(1, -1)},`;
  } catch { /* The command, too, replaces a history that it cannot read. */ }
  return bytesOf(setProperty(packet, 'History', `[${earlier}${record}]`));
}
