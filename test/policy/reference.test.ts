/** docs/policy.md and the schema say the same: every field is described, and no field is described that there is not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { policySchema, repositorySchema } from '../../src/policy/schema.ts';
import { fieldPaths } from '../../src/policy/schema-paths.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');
/** Of the conditions of a rule it is enough to say that they are those of the selection. */
const known = new Set([...fieldPaths(policySchema), ...fieldPaths(repositorySchema)]);
const repeated = [...known].filter((path) => /^spec\.(methods|hooks)\[\]\.claims\./.test(path));

const described = new Set(
  [...text.matchAll(/^\| ((?:`[^`|]+`(?:, )?)+) \|/gm)]
    .flatMap(([, fields = '']) => [...fields.matchAll(/`([^`]+)`/g)].map(([, field = '']) => field))
    .filter((field) => /^(apiVersion|kind|metadata\.|spec\.)/.test(field)),
);

test('every field of a policy file is described', () => {
  expect([...known].filter((path) => !described.has(path) && !repeated.includes(path))).toEqual([]);
  expect(known.size).toBeGreaterThan(40);
});

test('no field is described that a policy file may not have', () => {
  const sections = new Set(
    [...known].flatMap((path) => path.split('.').map((_, at, parts) => parts.slice(0, at).join('.'))),
  );
  const lists = new Set([...sections].map((path) => path.replace(/\[\]$/, '')));
  expect([...described].filter((path) => !known.has(path) && !sections.has(path) && !lists.has(path))).toEqual([]);
});

test('the example is a policy file', () => {
  const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(text) ?? [];
  expect(parsePolicyFile(example, 'docs/policy.md').policies).toHaveLength(1);
});
