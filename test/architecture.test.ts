/**
 * The rules that keep the rooms apart, read from the import lines: which folder may import which, no cycles,
 * environment and exit only at the edge, files that one can read in one go.
 */
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const longestFileLines = 300;
const longestTestLines = 400;
/** Looked up, not read: a list of data may be as long as it is. */
const lists = ['src/base/error-catalog.ts'];
const thisFile = 'test/architecture.test.ts';

/** From each room to the rooms that it may import, beside itself. docs/architecture.md says why. */
const doors: Readonly<Record<string, readonly string[]>> = {
  base: [],
  store: ['base'],
  repository: ['base', 'store', 'policy'],
  volume: ['base', 'store', 'repository'],
  policy: ['base'],
  manifest: ['base'],
  cluster: ['base'],
  backup: ['base', 'cluster', 'manifest', 'policy', 'repository', 'store'],
  restore: ['base', 'cluster', 'manifest', 'policy', 'repository', 'store'],
  schedule: ['base', 'policy'],
  controller: ['base', 'backup', 'restore', 'schedule', 'cluster', 'policy', 'manifest'],
  cli: [
    'base',
    'store',
    'repository',
    'volume',
    'policy',
    'manifest',
    'cluster',
    'backup',
    'restore',
    'schedule',
    'controller',
  ],
};
/** The one way from a backup to the files of a volume: the orchestrator stores what a pod streams to it. */
const streamFile = 'src/backup/exec-stream.ts';
const pureRooms = ['policy', 'manifest', 'repository/format'];

interface SourceFile {
  /** Relative to the root, as `src/store/store.ts`. */
  readonly path: string;
  readonly text: string;
  /** Without comments, so that rules about code do not read prose. */
  readonly code: string;
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean; readonly lazy: boolean }[];
}

const files = await readSources();
const inSrc = files.filter(({ path }) => path.startsWith('src/'));

test('the rules see the files that they are about', () => {
  expect(inSrc.length).toBeGreaterThan(10);
  expect(inSrc.some(({ imports }) => imports.length > 3)).toBe(true);
});

test('a room imports only what lies behind its doors', () => {
  expect(inSrc.flatMap(forbiddenImports)).toEqual([]);
});

test('nothing imports the command line or the entry points, but they themselves and the tests', () => {
  const intruders = inSrc
    .filter(({ path }) => !path.startsWith('src/cli/'))
    .flatMap(({ path, imports }) =>
      imports.filter(({ target }) => /^(src\/cli|cmd)\//.test(target)).map(({ target }) => `${path} → ${target}`),
    );
  expect(intruders).toEqual([]);
});

test('the mover never sees the cluster', () => {
  const reached = reachableFrom('src/volume/mover.ts', { lazy: true });
  expect(reached.filter((path) => path.startsWith('src/cluster/'))).toEqual([]);
});

test('codecs, policies and recipes are pure: no input or output of their own', () => {
  const impure = inSrc
    .filter(({ path }) => pureRooms.some((room) => path.startsWith(`src/${room}/`)))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ target }) => /^node:(fs|net|http|https|child_process|worker_threads|os|dns|tls)(\/|$)/.test(target))
        .map(({ target }) => `${path} → ${target}`),
    );
  expect(impure).toEqual([]);
});

test('help and failures of the command line load no engine', () => {
  const loaded = reachableFrom('src/cli/main.ts');
  const rooms = new Set(loaded.map(roomOf).filter((room) => room !== undefined));
  expect([...rooms].sort()).toEqual(['base', 'cli']);
});

test('no file imports itself by a detour', () => {
  expect(findCycles(inSrc)).toEqual([]);
});

test('the environment is read only at the edge', () => {
  const readers = inSrc.filter(({ path, code }) => /process\.env\b/.test(code) && path !== 'src/cli/config.ts');
  expect(readers.map(({ path }) => path)).toEqual([]);
});

test('only the entry points end the process', () => {
  expect(inSrc.filter(({ code }) => /process\.exit\b/.test(code)).map(({ path }) => path)).toEqual([]);
});

test('nothing is typed any, and no check is switched off', () => {
  const untyped = files.filter(({ code }) =>
    /(:|\bas|<|\|)\s*any\b|\bany\[\]/.test(code.replace(/'[^'\n]*'|`[^`]*`/g, "''")),
  );
  const silenced = files.filter(({ text }) => /@ts-(ignore|nocheck|expect-error)|biome-ignore(?! \S+: \S)/.test(text));
  expect([...untyped, ...silenced].map(({ path }) => path).filter((path) => path !== thisFile)).toEqual([]);
});

test('a file can be read in one go', () => {
  const tooLong = files
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ path }) => !lists.includes(path))
    .filter(({ path, lines }) => lines > (path.startsWith('test/') ? longestTestLines : longestFileLines));
  expect(tooLong).toEqual([]);
});

test('files are named for their topic, in kebab-case, and export by name', () => {
  const misnamed = inSrc.filter(
    ({ path }) => !/^[a-z0-9-]+(\.d)?\.ts$/.test(path.split('/').at(-1) ?? '') || /\/(utils?|index)\.ts$/.test(path),
  );
  expect(misnamed.map(({ path }) => path)).toEqual([]);
  expect(inSrc.filter(({ code }) => /^export default\b/m.test(code)).map(({ path }) => path)).toEqual([]);
});

async function readSources(): Promise<SourceFile[]> {
  const sources: SourceFile[] = [];
  for await (const found of glob('{src,cmd,test,bench}/**/*.ts', { cwd: root })) {
    if (found.includes('/assembly/') || found.includes('/fixtures/') || found.includes('node_modules')) continue;
    const text = readFileSync(join(root, found), 'utf8');
    const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
    sources.push({ path: found, text, code, imports: importsOf(found, code) });
  }
  return sources.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function importsOf(path: string, code: string): SourceFile['imports'] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^'";]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\('([^']+)'\)/g;
  return [...code.matchAll(pattern)].map(([, type, from, bare, dynamic]) => {
    const specifier = from ?? bare ?? dynamic ?? '';
    const target = specifier.startsWith('.') ? join(dirname(path), specifier) : specifier;
    return { target, typeOnly: type !== undefined, lazy: dynamic !== undefined };
  });
}

function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function forbiddenImports({ path, imports }: SourceFile): string[] {
  const room = roomOf(path) ?? '';
  const allowed = [room, ...(doors[room] ?? [])];
  return imports
    .filter(({ target }) => {
      const other = roomOf(target);
      if (path.startsWith('src/repository/format/')) return other !== undefined && !isOfFormat(target);
      return other !== undefined && !allowed.includes(other) && !(path === streamFile && other === 'volume');
    })
    .map(({ target }) => `${path} → ${target}`);
}

function isOfFormat(target: string): boolean {
  return target.startsWith('src/repository/format/') || target.startsWith('src/base/');
}

/** Every file that is loaded when `path` is: at once, or with `lazy` sooner or later. */
function reachableFrom(path: string, { lazy = false } = {}): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const queue = [path];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    queue.push(
      ...(byPath.get(next)?.imports ?? [])
        .filter((one) => !one.typeOnly && (lazy || !one.lazy))
        .map(({ target }) => target),
    );
  }
  return [...seen];
}

/** Cycles over imports that are there at run time and at load time; each as `a → b → a`. */
function findCycles(sources: readonly SourceFile[]): string[] {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' → '));
    if (at >= 0 || done.has(path)) return;
    for (const { target, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (!typeOnly && byPath.has(target)) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  return cycles;
}
