/**
 * JSON text as Go's encoding/json writes it, and names as strconv.Quote does: the byte forms on which the ids of
 * restic's trees depend (restic format v2, "Trees", name escaping).
 */
import { isUtf8 } from 'node:buffer';

const plainText = /^[ !#-%'-;=?-[\]-~]*$/;
const escapedByGo = /[<>&\u2028\u2029]/g;
const hasEscapedByGo = /[<>&\u2028\u2029]/;
/** What strconv.IsPrint accepts: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

const shortEscapes = new Map<number, string>([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
  [0x0b, '\\v'],
  [0x5c, '\\\\'],
  [0x22, '\\"'],
]);

/** A JSON document with the escapes that Go adds inside strings: `<`, `>`, `&`, U+2028 and U+2029. */
export function goJson(value: unknown): string {
  return escapeForGo(JSON.stringify(value));
}

/** A string as a JSON string, quotes included. */
export function goJsonString(text: string): string {
  return plainText.test(text) ? `"${text}"` : escapeForGo(JSON.stringify(text.toWellFormed()));
}

/** Raw bytes as a JSON string, quotes included; each byte that is not UTF-8 becomes the escape `\ufffd`. */
export function goJsonBytes(bytes: Buffer): string {
  const latin1 = bytes.toString('latin1');
  if (plainText.test(latin1)) return `"${latin1}"`;
  if (isUtf8(bytes)) return goJsonString(bytes.toString());
  let json = '';
  for (const rune of runesOf(bytes)) json += rune.text === undefined ? '\\ufffd' : goJsonString(rune.text).slice(1, -1);
  return `"${json}"`;
}

/** A file name as a node stores it: quoted as strconv.Quote does, without the outer quotes, then as a JSON string. */
export function goNameJson(name: Buffer): string {
  return goLatin1NameJson(name.toString('latin1'));
}

/** As goNameJson, for a name whose bytes are kept as latin1. */
export function goLatin1NameJson(name: string): string {
  return plainText.test(name) ? `"${name}"` : goJsonString(goQuote(Buffer.from(name, 'latin1')));
}

/** strconv.Quote without the outer quotes. */
export function goQuote(bytes: Buffer): string {
  let quoted = '';
  for (const { code, text } of runesOf(bytes)) quoted += quoteRune(code, text);
  return quoted;
}

/** The bytes that a stored (JSON-decoded) name stands for: strconv.Unquote. undefined where it is no valid quoting. */
export function goUnquote(quoted: string): Buffer | undefined {
  if (!quoted.includes('\\')) return Buffer.from(quoted);
  const parts: Buffer[] = [];
  let at = 0;
  while (at < quoted.length) {
    const next = quoted.indexOf('\\', at);
    if (next !== at) {
      parts.push(Buffer.from(quoted.slice(at, next < 0 ? quoted.length : next)));
      if (next < 0) break;
    }
    const found = readEscape(quoted, next);
    if (!found) return undefined;
    parts.push(found.bytes);
    at = next + found.length;
  }
  return Buffer.concat(parts);
}

function escapeForGo(json: string): string {
  if (!hasEscapedByGo.test(json)) return json;
  return json.replace(escapedByGo, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `text` is undefined for a byte that is not UTF-8; `code` is then the byte. */
function quoteRune(code: number, text: string | undefined): string {
  if (text === undefined) return `\\x${hex(code, 2)}`;
  const short = shortEscapes.get(code);
  if (short !== undefined) return short;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  if (printable.test(text)) return text;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

interface Rune {
  readonly code: number;
  readonly text: string | undefined;
}

/** Runes in the way Go ranges over a string: an invalid sequence yields its first byte alone. */
function* runesOf(bytes: Buffer): Generator<Rune> {
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at]!;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const slice = bytes.subarray(at, at + length);
    if (slice.length === length && isUtf8(slice)) {
      const text = slice.toString();
      const code = text.codePointAt(0)!;
      // A slice that begins with a shorter valid rune cannot happen: the first byte tells the length.
      yield { code, text };
      at += length;
    } else {
      yield { code: first, text: undefined };
      at += 1;
    }
  }
}

const unquoted = new Map<string, number>([
  ['a', 0x07],
  ['b', 0x08],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['v', 0x0b],
  ['\\', 0x5c],
  ['"', 0x22],
  // Not in Go, but other writers of the format use it.
  ["'", 0x27],
]);
const digitsOf = new Map<string, number>([
  ['x', 2],
  ['u', 4],
  ['U', 8],
]);

function readEscape(quoted: string, at: number): { bytes: Buffer; length: number } | undefined {
  const kind = quoted[at + 1] ?? '';
  const single = unquoted.get(kind);
  if (single !== undefined) return { bytes: Buffer.of(single), length: 2 };
  const octal = /^[0-7]{3}/.exec(quoted.slice(at + 1, at + 4));
  if (octal) {
    const byte = Number.parseInt(octal[0], 8);
    return byte > 0xff ? undefined : { bytes: Buffer.of(byte), length: 4 };
  }
  const digits = digitsOf.get(kind);
  if (digits === undefined) return undefined;
  const text = quoted.slice(at + 2, at + 2 + digits);
  if (text.length !== digits || !/^[0-9a-fA-F]+$/.test(text)) return undefined;
  const code = Number.parseInt(text, 16);
  if (kind === 'x') return { bytes: Buffer.of(code), length: 4 };
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return { bytes: Buffer.from(String.fromCodePoint(code)), length: 2 + digits };
}
