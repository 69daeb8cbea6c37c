/** Looks into a schema: which keys it knows, for suggestions and for holding the documentation to it. */
import { z } from 'zod';

/** The keys that the object at this path of a document may have. */
export function knownKeysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current: z.core.$ZodType | undefined = schema;
  for (const key of path) current = current && childOf(unwrap(current), key);
  const object = current && unwrap(current);
  return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
}

/** All fields as `spec.limits.perNode`; those of a list's items as `spec.methods[].method`, of a map as `spec.x.*`. */
export function fieldPaths(schema: z.ZodType): string[] {
  return pathsBelow(schema, '');
}

function pathsBelow(schema: z.core.$ZodType, path: string): string[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) =>
      pathsBelow(child, path === '' ? key : `${path}.${key}`),
    );
  }
  if (inner instanceof z.ZodArray && unwrap(inner.element) instanceof z.ZodObject) {
    return pathsBelow(inner.element, `${path}[]`);
  }
  return [path];
}

function childOf(schema: z.core.$ZodType, key: PropertyKey): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) return schema.shape[String(key)];
  if (schema instanceof z.ZodArray) return schema.element;
  return schema instanceof z.ZodRecord ? schema.valueType : undefined;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}
