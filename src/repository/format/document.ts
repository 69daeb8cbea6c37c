/** Reading the JSON documents of a repository: bytes that others wrote, checked field by field. */
import { damagedFile } from '../../base/damaged-file.ts';
import type { HoldfastError } from '../../base/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Which file a document came from, for messages. */
export interface DocumentName {
  readonly kind: string;
  readonly name: string;
}

/** `cause` is the error that showed it. */
export function damaged(document: DocumentName, reason: string, cause?: unknown): HoldfastError {
  return damagedFile(document, reason, cause);
}

/** The object that the bytes hold. Anything else is FILE_DAMAGED. */
export function parseObject(bytes: Uint8Array, document: DocumentName): JsonObject {
  return parseText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(), document);
}

export function parseText(text: string, document: DocumentName): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(document, 'it is not JSON', error);
  }
  if (!isObject(value)) throw damaged(document, 'it is not a JSON object');
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const idPattern = /^[0-9a-f]{64}$/;

/** 64 lower-case hex digits. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length === 64 && idPattern.test(value);
}

/** Typed access to the fields of a document. A field that is missing or null reads as undefined. */
export class Fields {
  readonly #object: JsonObject;
  readonly #document: DocumentName;

  constructor(object: JsonObject, document: DocumentName) {
    this.#object = object;
    this.#document = document;
  }

  text(field: string): string | undefined {
    const value = this.#value(field);
    if (value !== undefined && typeof value !== 'string') throw this.#wrong(field, 'a string');
    return value;
  }

  id(field: string): string | undefined {
    const value = this.#value(field);
    if (value !== undefined && !isId(value)) throw this.#wrong(field, 'an id of 64 hex digits');
    return value;
  }

  integer(field: string): number | undefined {
    const value = this.#value(field);
    if (value !== undefined && !(typeof value === 'number' && Number.isSafeInteger(value))) {
      throw this.#wrong(field, 'a whole number');
    }
    return value;
  }

  flag(field: string): boolean | undefined {
    const value = this.#value(field);
    if (value !== undefined && typeof value !== 'boolean') throw this.#wrong(field, 'true or false');
    return value;
  }

  texts(field: string): string[] | undefined {
    const value = this.#value(field);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
      throw this.#wrong(field, 'a list of strings');
    }
    return value;
  }

  bytes(field: string): Buffer | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : Buffer.from(text, 'base64');
  }

  /** The value of a field that must be there. */
  need<Value>(field: string, value: Value | undefined): Value {
    if (value === undefined) throw damaged(this.#document, `it has no ${field}`);
    return value;
  }

  #value(field: string): unknown {
    return this.#object[field] ?? undefined;
  }

  #wrong(field: string, expected: string): HoldfastError {
    return damaged(this.#document, `${field} is not ${expected}`);
  }
}
