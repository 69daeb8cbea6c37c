/**
 * A Kubernetes object as the API server sent it. Nothing is dropped or renamed: recipes are captured from these,
 * and typed models lose every field that is newer than they are.
 */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [key: string]: unknown;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [key: string]: unknown;
}

/** What a caller writes to create an object: the server fills in the rest of the metadata. */
export interface NewObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly [key: string]: unknown;
}

/** The value under a path of keys, undefined as soon as one of them is not there. */
export function valueAt(object: unknown, ...path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (!isRecord(value)) return undefined;
    value = value[key];
  }
  return value;
}

/** The text under a path of keys; undefined where there is none or something else stands there. */
export function textAt(object: unknown, ...path: readonly string[]): string | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'string' ? value : undefined;
}

export function listAt(object: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = valueAt(object, ...path);
  return Array.isArray(value) ? value : [];
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Items of a list come without apiVersion and kind. */
export function asObject(value: unknown, of?: { apiVersion: string; kind: string }): KubeObject {
  if (!isRecord(value) || textAt(value, 'metadata', 'name') === undefined) {
    throw new TypeError('the API server sent something that is not an object');
  }
  const { apiVersion = of?.apiVersion, kind = of?.kind, ...rest } = value;
  return { apiVersion, kind, ...rest } as KubeObject;
}

/** The status of a condition such as Ready or PodScheduled, with its message. */
export function conditionOf(
  object: unknown,
  type: string,
): { status: string; reason: string; message: string } | undefined {
  for (const condition of listAt(object, 'status', 'conditions')) {
    if (textAt(condition, 'type') !== type) continue;
    return {
      status: textAt(condition, 'status') ?? 'Unknown',
      reason: textAt(condition, 'reason') ?? '',
      message: textAt(condition, 'message') ?? '',
    };
  }
  return undefined;
}

/** "namespace/name", or the name of what has no namespace. */
export function nameOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/**
 * Reads JSON without rounding: a number that a double cannot hold (nanosecond times in snapshot contents, R1.16)
 * stays as its source text, and JSON.stringify writes it back digit by digit.
 */
export function parseJson(text: string): unknown {
  // The reviver costs ten times the parsing, and only such numbers need it.
  if (!/[:[,]\s*-?\d{16,}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, exactNumber as (key: string, value: unknown) => unknown);
}

function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  const raw: { rawJSON(text: string): unknown } = JSON as never;
  return raw.rawJSON(context.source);
}
