/** What the documents say must be there, is there. */
import { existsSync, readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { commandList } from '../src/cli/command-list.ts';

const root = resolve(import.meta.dirname, '..');
const documents = await readDocuments();

test('every link between documents leads somewhere', () => {
  const broken = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path} → ${target}`),
  );
  expect(broken).toEqual([]);
});

test('every command that a document shows exists', () => {
  const words = new Set(commandList.map(({ name }) => name.split(' ')[0]));
  const shown = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:^\$ (?:npx )?|`)holdfast ([a-z]+(?:-[a-z]+)*)/gm)].map(([, word = '']) => ({ path, word })),
  );
  expect(shown.length).toBeGreaterThan(20);
  expect(shown.filter(({ word }) => !words.has(word))).toEqual([]);
});

test('every npm script that a document shows exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const shown = documents.flatMap(({ text }) => [...text.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name));
  expect([...new Set(shown)].filter((name) => !(name in scripts))).toEqual([]);
});

async function readDocuments() {
  const found: { readonly path: string; readonly text: string }[] = [];
  for await (const path of glob(['README.md', 'docs/**/*.md', 'test/**/*.md', 'deploy/**/*.md'], { cwd: root })) {
    found.push({ path, text: readFileSync(join(root, path), 'utf8') });
  }
  return found;
}
