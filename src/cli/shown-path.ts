/** Names of files, which may hold any bytes, for people and for scripts. */
import { isUtf8 } from 'node:buffer';
import { goQuote } from '../repository/format/go-json.ts';

const harmless = /^[ !-[\]-~]*$/;

/**
 * For a terminal: control and invisible characters, bytes that are not UTF-8 and `\` are escaped as in `\n`, `\u202e`,
 * `\xff`, `\\`. Commands take such a path back.
 */
export function shownPath(path: Buffer): string {
  const text = path.toString('latin1');
  if (harmless.test(text)) return text;
  // Pairs are read from the left, so that a quote after an escaped backslash is taken for what it is.
  return goQuote(path).replace(/\\(.)/gs, (pair, escaped: string) => (escaped === '"' ? '"' : pair));
}

/** Text of foreign origin, such as names of users. */
export function shownText(text: string): string {
  return shownPath(Buffer.from(text));
}

/** Fields of JSON: the exact bytes beside a path that is not UTF-8. */
export function pathJson(path: Buffer): { readonly path: string; readonly pathBase64?: string } {
  return isUtf8(path) ? { path: path.toString() } : { path: path.toString(), pathBase64: path.toString('base64') };
}
