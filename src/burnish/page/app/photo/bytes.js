/** Bytes as text of Latin-1, one character a byte, so that regular expressions apply to them. */

export function latin1(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

export const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const startsWith = (bytes, text) =>
  bytes.length >= text.length && [...text].every((character, i) => bytes[i] === character.charCodeAt(0));

export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Return a number as bytes, most significant first. */
export const uint = (value, size) =>
  Uint8Array.from({length: size}, (_, i) => Math.floor(value / 256 ** (size - 1 - i)) & 255);

/** Return the position of some text in bytes, or -1. */
export function find(bytes, text, start = 0) {
  for (let at = bytes.indexOf(text.charCodeAt(0), start); at >= 0; at = bytes.indexOf(text.charCodeAt(0), at + 1)) {
    if (startsWith(bytes.subarray(at, at + text.length), text)) return at;
  }
  return -1;
}
