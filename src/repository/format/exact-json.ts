/** JSON that is changed in a few places and is otherwise to stay as it is: every field, and every digit of a number. */
import { type DocumentName, damaged, isObject, type JsonObject } from './document.ts';
import { goJson } from './go-json.ts';

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
// Not yet among the types of the language.
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver: Reviver): unknown;
  rawJSON(text: string): unknown;
};

/** The object in `bytes`; numbers that JavaScript would round are carried along as text. Throws FILE_DAMAGED. */
export function parseExactObject(bytes: Uint8Array, document: DocumentName): JsonObject {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  let value: unknown;
  try {
    value = parse(text, (_, found, { source }) => (isRounded(found) && source !== undefined ? rawJSON(source) : found));
  } catch {
    throw damaged(document, 'it is not JSON');
  }
  if (!isObject(value)) throw damaged(document, 'it is not a JSON object');
  return value;
}

/** As Go writes it. */
export function encodeExact(value: JsonObject): string {
  return goJson(value);
}

function isRounded(value: unknown): boolean {
  return typeof value === 'number' && !Number.isSafeInteger(value);
}
