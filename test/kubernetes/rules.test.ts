/** Rules are cited by number in comments; docs/rules.md is where a reader finds them. */
import { readFileSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { backupClusterRole, backupRole, commandRole, scaleHookRole } from '../../src/backup/rights.ts';
import { restoreClusterRole, restoreRole } from '../../src/restore/rights.ts';

const root = join(import.meta.dirname, '../..');
const docs = (name: string) => readFileSync(join(root, 'docs', name), 'utf8');

test('every rule that the code cites is explained', async () => {
  const listed = new Set([...docs('rules.md').matchAll(/^\| (R\d+\.\d+) \|/gm)].map(([, rule]) => rule));
  const cited: string[] = [];
  for await (const path of glob('src/**/*.ts', { cwd: root })) {
    const text = await readFile(join(root, path), 'utf8');
    for (const [rule] of text.matchAll(/\bR\d+\.\d+/g)) if (!listed.has(rule)) cited.push(`${path}: ${rule}`);
  }
  expect(listed.size).toBeGreaterThan(20);
  expect(cited).toEqual([]);
});

test('the rights in the documentation are those that the cluster tests run with', () => {
  const text = docs('rights.md');
  const flow = { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 } as const;
  const hooks = [commandRole, scaleHookRole];
  for (const rules of [backupRole, backupClusterRole, ...hooks, restoreRole, restoreClusterRole]) {
    expect(text).toContain(rules.map((rule) => `- ${stringify(rule, flow).trim()}\n`).join(''));
  }
});
