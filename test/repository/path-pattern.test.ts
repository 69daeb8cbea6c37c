/** Patterns mean what they mean to restic: the real one searches the same tree. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { matchPatterns, parsePattern, pathNames } from '../../src/repository/path-pattern.ts';
import { PathSearch } from '../../src/repository/path-search.ts';
import { findSnapshot } from '../../src/repository/snapshots.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { makeRepository } from './restic-repository.ts';

const files = [
  'a.txt',
  'A.TXT',
  'dir/a.txt',
  'dir/sub/a.txt',
  'dir/sub/deep/b.log',
  'dir/sub/deep/[x].log',
  'dir/back\\slash',
  'dir/star*name',
  'other/dir/sub/c',
  'other/äöü/ß.txt',
  'other/😀.txt',
  'other/.hidden',
  'other/a-b',
  'other/a]b',
  '!bang',
];
const patterns = [
  ...['*.txt', 'a.txt', '/a.txt', '/dir', 'dir', 'dir/sub', '/dir/sub', 'sub/a.txt', '/sub', '/*', '/*/a.txt', '*'],
  ...[
    '**',
    '/**',
    '**/a.txt',
    '/dir/**/*.log',
    'dir/**',
    'dir/**/deep',
    '/**/sub',
    '**/**/c',
    'other/**/c',
    '/dir/**/**',
  ],
  ...['?.txt', 'other/?', '??', '???/ß.txt', '[ab].txt', '[^a].txt', '[a-c]*', '*[!x]*', '\\[x\\].log', '*\\*name'],
  ...[
    'back\\\\slash',
    'dir/',
    './dir',
    'dir/../other',
    '//dir',
    'a[]]b',
    'a[-]b',
    '.*',
    'no-such',
    'DIR',
    '*.TXT',
    '/',
  ],
  ...['*a*b*', 'd*r/*/a.txt', 'a**', '**a.txt'],
];

let env: Readonly<Record<string, string>>;
let search: (pattern: string, ignoreCase: boolean) => Promise<string[]>;

beforeAll(async () => {
  const source = await tempDir();
  for (const file of files) {
    mkdirSync(dirname(join(source, file)), { recursive: true });
    writeFileSync(join(source, file), file);
  }
  const { repository, ...place } = await makeRepository();
  env = place.env;
  await restic(['backup', '.'], { cwd: source, env });
  const snapshot = await findSnapshot(repository, 'latest');
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  search = async (pattern, ignoreCase) => {
    const found: string[] = [];
    const paths = new PathSearch([parsePattern(pattern, { ignoreCase })], ignoreCase);
    for await (const { path } of paths.in(reader, snapshot.tree, AbortSignal.timeout(10_000)))
      found.push(path.toString());
    return found.sort();
  };
});

interface Found {
  readonly matches: { readonly path: string }[];
}

async function resticFinds(pattern: string, ignoreCase: boolean): Promise<string[] | 'refused'> {
  const flags = ignoreCase ? ['--ignore-case'] : [];
  try {
    const found: Found[] = JSON.parse(await restic(['find', '--json', ...flags, '--', pattern], { env }));
    return found.flatMap(({ matches }) => matches.map(({ path }) => path)).sort();
  } catch {
    return 'refused';
  }
}

test.each(patterns)('%s finds what restic finds', async (pattern) => {
  for (const ignoreCase of [false, true]) {
    const ours = await search(pattern, ignoreCase).catch(() => 'refused');
    expect(ours, ignoreCase ? 'ignoring case' : 'minding case').toEqual(await resticFinds(pattern, ignoreCase));
  }
});

test('a pattern that is not closed or empty is refused with words', () => {
  for (const pattern of ['[', 'a[b', '[]', '[a-]', 'x\\', '', '!']) {
    expect(() => parsePattern(pattern, { negation: true })).toThrow(/pattern/);
  }
});

test('bytes that are not UTF-8 match wildcards, and spoil only their own name', () => {
  const path = Buffer.concat([Buffer.from('/ä/b'), Buffer.from([0xff]), Buffer.from('.x')]);
  const matches = (pattern: string): boolean => matchPatterns([parsePattern(pattern)], pathNames(path)).matched;
  expect(['/ä/b?.x', 'b*', '/?/*.x', 'ä'].map(matches)).toEqual([true, true, true, true]);
  expect(['bÿ.x', 'b\ufffd.x', 'b.x'].map(matches)).toEqual([false, false, false]);
});

test('a later pattern with ! takes back what earlier ones matched, and a still later one matches again', () => {
  const list = ['*.log', '!keep.log', '/x/keep.log'].map((one) => parsePattern(one, { negation: true }));
  const verdict = (path: string) => matchPatterns(list, pathNames(Buffer.from(path)));
  expect(['/a.log', '/keep.log', '/x/keep.log', '/a'].map((path) => verdict(path).matched)).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

test('without leave to take back, ! is a character like any other', async () => {
  expect(await search('!bang', false)).toEqual(['/!bang']);
  expect(await search('!a.txt', false)).toEqual([]);
});

test('many stars take no time', () => {
  const name = `/${'a'.repeat(250)}`;
  const pattern = parsePattern(`${'*a'.repeat(100)}b`);
  const startMs = performance.now();
  expect(matchPatterns([pattern], pathNames(Buffer.from(name))).matched).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(1000);
});
