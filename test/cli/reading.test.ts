/** show, ls, find, dump, diff and stats as users and scripts meet them; the real restic reads the same repository. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { noise } from '../fixtures/make-tree.ts';
import { restic } from '../setup/restic.ts';
import { newPlace, type Place, resticEnv } from './place.ts';
import { projectFolder } from './run-cli.ts';

let place: Place;
/** Oldest first; the last one is of another host. */
let ids: string[];

beforeAll(async () => {
  place = await newPlace();
  const source = join(place.folder, 'source');
  mkdirSync(join(source, 'docs/deep'), { recursive: true });
  mkdirSync(join(source, 'gone'));
  writeFileSync(join(source, 'docs/a.txt'), 'first');
  writeFileSync(join(source, 'docs/deep/b.bin'), noise('b', 900_000));
  writeFileSync(join(source, 'docs/same'), noise('same', 700_000));
  writeFileSync(join(source, 'gone/x'), 'x');
  writeFileSync(Buffer.from(`${source}/odd \x1b[31m\xff\n`, 'latin1'), 'odd');
  linkSync(join(source, 'docs/same'), join(source, 'docs/second-name'));
  symlinkSync('docs/a.txt', join(source, 'link'));
  await backup(source, 'web-1');
  appendFileSync(join(source, 'docs/a.txt'), ' and more');
  writeFileSync(join(source, 'docs/deep/new'), noise('new', 100_000));
  chmodSync(join(source, 'docs/deep/b.bin'), 0o600);
  rmSync(join(source, 'gone'), { recursive: true });
  await backup(source, 'web-1');
  await backup(join(source, 'docs'), 'web-2');
  const entries: { id: string }[] = JSON.parse((await place.cli('list', '--json')).stdout);
  ids = entries.map(({ id }) => id);
}, 60_000);

async function backup(folder: string, host: string): Promise<void> {
  expect(await place.cli('backup', '--dir', folder, '--host', host)).toMatchObject({ exitCode: 0, stderr: '' });
}

async function lines<T>(...args: string[]): Promise<T[]> {
  const { stdout, exitCode, stderr } = await place.cli(...args, '--json');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return jsonLines(stdout);
}

async function resticLines<T>(...args: string[]): Promise<T[]> {
  return jsonLines(await restic([...args, '--json'], { env: resticEnv(place) }));
}

function jsonLines<T>(text: string): T[] {
  const all = text.split('\n').filter((line) => line !== '');
  return all.map((line) => JSON.parse(line) as T);
}

interface Entry {
  readonly path: string;
  readonly kind?: string;
  readonly type: string;
  readonly mtime: string;
  readonly sizeBytes?: number;
  readonly size?: number;
  readonly permissions: string;
  readonly uid: number;
  readonly backupId: string;
}

test('ls lists what restic lists, with the same facts, in the same order', async () => {
  const [first, ...ours] = await lines<Entry>('ls', ids[1] ?? '');
  expect(first).toMatchObject({ type: 'backup', id: ids[1], host: 'web-1' });
  const [, ...theirs] = await resticLines<Entry>('ls', ids[1] ?? '');
  const facts = ({ path, permissions, mtime, uid }: Entry) => [path, permissions.toLowerCase(), mtime, uid];
  expect(ours.map(facts)).toEqual(theirs.map(facts));
  expect(ours.map(({ kind, sizeBytes }) => [kind, sizeBytes])).toEqual(
    theirs.map(({ type, size }) => [type, type === 'file' ? (size ?? 0) : undefined]),
  );
});

test('ls with paths shows them and what is directly in them, all below with --recursive', async () => {
  for (const flags of [[], ['--recursive']]) {
    const args = ['ls', ...flags, ids[1] ?? ''];
    const path = '/docs';
    const [, ...ours] = await lines<Entry>(...args, path);
    const [, ...theirs] = await resticLines<Entry>(...args, path);
    expect(ours.map((entry) => entry.path)).toEqual(theirs.map((entry) => entry.path));
    expect(ours.length).toBeGreaterThan(3);
  }
});

test('names cannot reach the terminal as control characters, and what is shown is taken back', async () => {
  const { stdout } = await place.cli('ls', 'latest', '--host', 'web-1');
  const shown = stdout.split('\n').find((line) => line.includes('odd')) ?? '';
  expect(shown.endsWith('/odd \\x1b[31m\\xff\\n')).toBe(true);
  expect(stdout).not.toMatch(/[^\n -~]/);
  expect(await place.cli('dump', 'latest', '--host', 'web-1', shown)).toMatchObject({ exitCode: 0, stdout: 'odd' });
});

test('find finds what restic finds, the newest backup first', async () => {
  for (const args of [['*.txt'], ['deep/*'], ['-i', 'B.BIN', 'new'], ['--host', 'web-2', 'deep']]) {
    const ours = await lines<Entry>('find', ...args);
    const theirs = await resticLines<readonly { snapshot: string; matches: readonly Entry[] }[]>('find', ...args);
    const found = theirs.flat().flatMap(({ snapshot, matches }) => matches.map(({ path }) => `${snapshot} ${path}`));
    expect(ours.map(({ backupId, path }) => `${backupId} ${path}`).sort()).toEqual(found.sort());
    const ages = ours.map(({ backupId }) => ids.indexOf(backupId));
    expect(ages).toEqual(ages.toSorted((a, b) => b - a));
    expect(ours.length).toBeGreaterThan(0);
  }
  expect(await place.cli('find', 'no-such')).toEqual({ exitCode: 0, stdout: '', stderr: 'Nothing was found.\n' });
  expect(await place.cli('find', '[')).toMatchObject({ exitCode: 1, stdout: '' });
});

interface Change {
  readonly type: string;
  readonly change: string;
  readonly path: string;
  readonly kind?: string;
  readonly before?: { kind: string };
  readonly after?: { kind: string };
}

interface ResticChange {
  readonly message_type: string;
  readonly modifier: string;
  readonly path: string;
  readonly added: { readonly data_blobs: number; readonly tree_blobs: number; readonly bytes: number };
  readonly removed: ResticChange['added'];
}

test('diff tells the changes that restic tells, and the same data', async () => {
  const [first = '', second = ''] = ids;
  const ours = await lines<Change>('diff', first, second);
  const theirs = await resticLines<ResticChange>('diff', first, second);
  const marks: Record<string, string> = { added: '+', removed: '-', modified: 'M', type: 'T' };
  const changes = ours.slice(0, -1).map(({ change, path, before, after }) => {
    return `${marks[change]} ${path}${(after ?? before)?.kind === 'dir' ? '/' : ''}`;
  });
  const expected = theirs.slice(0, -1).map(({ modifier, path }) => `${modifier} ${path}`);
  expect(changes.sort()).toEqual(expected.sort());
  expect(changes.length).toBe(4);
  const { added, removed } = theirs.at(-1) as ResticChange;
  const counts = ({ data_blobs, tree_blobs, bytes }: ResticChange['added']) => ({
    dataBlobs: data_blobs,
    treeBlobs: tree_blobs,
    bytes,
  });
  expect(ours.at(-1)).toMatchObject({
    type: 'summary',
    before: first,
    after: second,
    added: counts(added),
    removed: counts(removed),
    modified: 1,
    metadataChanged: expect.any(Number),
  });
});

test('diff tells metadata when asked, and that a backup does not differ from itself', async () => {
  const { stdout } = await place.cli('diff', ids[0] ?? '', ids[1] ?? '', '--metadata');
  expect(stdout).toMatch(/^U .*\/b\.bin {2}\(mode\)$/m);
  const same = await lines<Change>('diff', 'latest', 'latest');
  expect(same).toMatchObject([{ type: 'summary', modified: 0, added: { bytes: 0 }, removed: { bytes: 0 } }]);
});

interface Stats {
  readonly backups: number;
  readonly entries: number;
  readonly restoreBytes: number;
  readonly total: { readonly blobs: number; readonly storedBytes: number };
  readonly groups: readonly {
    readonly host: string;
    readonly backups: readonly { added: { storedBytes: number } }[];
    readonly total: Stats['total'];
  }[];
}

test('stats counts what restic counts: what restores write, and each blob once', async () => {
  const [ours] = await lines<Stats>('stats');
  const stats = (mode: string) =>
    resticLines<{ total_size: number; total_file_count: number; total_blob_count: number }>('stats', '--mode', mode);
  const [[restore], [raw]] = [await stats('restore-size'), await stats('raw-data')];
  expect(ours).toMatchObject({
    backups: 3,
    entries: restore?.total_file_count,
    restoreBytes: restore?.total_size,
    total: { storedBytes: raw?.total_size, blobs: raw?.total_blob_count },
  });
  const [one] = ours?.groups ?? [];
  expect(ours?.groups.map(({ host }) => host)).toEqual(['web-1', 'web-2']);
  const grown = one?.backups.map(({ added }) => added.storedBytes) ?? [];
  expect(grown.reduce((sum, bytes) => sum + bytes)).toBe(one?.total.storedBytes);
  expect((await place.cli('stats', '--growth')).stdout).toMatch(/STORED SO FAR[\s\S]*total {3}3 backups, /);
});

test('show tells all facts of a backup, also by a name with ~ and @', async () => {
  const [shown] = await lines<Record<string, unknown>>('show', 'latest~2');
  expect(shown).toMatchObject({
    type: 'backup',
    id: ids[0],
    recipe: null,
    summary: expect.objectContaining({ files_new: expect.any(Number) }),
  });
  const { stdout } = await place.cli('show', `latest@${new Date().toISOString()}`);
  expect(stdout).toMatch(new RegExp(`^backup +${ids[2]}\nof +`));
  expect(stdout).toMatch(/^made .* ago\)$/m);
  const missing = await place.cli('show', 'shop/data', '--json');
  expect(missing).toMatchObject({ exitCode: 1, stdout: '' });
  expect(JSON.parse(missing.stderr)).toMatchObject({ code: 'BACKUP_NOT_FOUND' });
});

test('a folder comes out as tar with --json as well, and a missing path is named', async () => {
  const listed = execFileSync('sh', ['-c', 'node cmd/holdfast.ts dump latest / --archive tar --json | tar -t'], {
    cwd: projectFolder,
    env: { PATH: process.env.PATH ?? '', ...place.env },
  });
  expect(listed.toString()).toContain('\ndeep/b.bin\n');
  const zip = await place.cli('dump', 'latest', '/', '--archive', 'zip');
  expect(zip).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--archive zip: expected tar') });
  const missing = await place.cli('dump', 'latest', '/nowhere', '--json');
  expect(missing).toMatchObject({ exitCode: 1, stdout: '' });
  expect(JSON.parse(missing.stderr)).toMatchObject({ code: 'PATH_NOT_IN_BACKUP' });
});

test('whoever reads may stop: no failure, and no lock is left', () => {
  const script = 'set -o pipefail; node cmd/holdfast.ts dump latest / | head -c 1000 | wc -c';
  const options = { cwd: projectFolder, env: { PATH: process.env.PATH ?? '', ...place.env } };
  expect(execFileSync('bash', ['-c', script], options).toString()).toBe('1000\n');
  expect(readdirSync(join(place.repository, 'locks'))).toEqual([]);
});
