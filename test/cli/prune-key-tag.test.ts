/** prune, repair index, key and tag as users and scripts meet them. */
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { lastLine, newPlace, type Place, password, resticEnv } from './place.ts';
import { runCli } from './run-cli.ts';

interface Listed {
  readonly id: string;
  readonly tags: readonly string[];
}

/** Two backups that have half of their data in common; the first one is forgotten. */
async function placeToPrune(): Promise<Place & { readonly kept: string }> {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  mkdirSync(source);
  for (const name of ['old', 'common']) writeFileSync(join(source, name), noise(name, 200_000));
  await place.cli('backup', '--dir', source);
  rmSync(join(source, 'old'));
  await place.cli('backup', '--dir', source);
  const [first, second] = await backups(place);
  await place.cli('forget', first!.id);
  return { ...place, kept: second!.id };
}

async function backups(place: Place): Promise<Listed[]> {
  return JSON.parse((await place.cli('list', '--json')).stdout);
}

function files(place: Place, type: string): string[] {
  const found = readdirSync(join(place.repository, type), { recursive: true, encoding: 'utf8' });
  return found.filter((path) => /[0-9a-f]{64}$/.test(path)).sort();
}

test('a plan of prune says what would go, and leaves everything as it is', async () => {
  const place = await placeToPrune();
  const before = files(place, 'data');
  const text = await place.cli('prune', '--plan');
  expect(text).toMatchObject({ exitCode: 0, stderr: '' });
  expect(text.stdout).toMatch(/ {2}rewrite {2}[0-9a-f]{8} .* \d+% of it is unused\n/);
  expect(text.stdout).toMatch(/KiB of .*KiB become free, 0 B stay unused\n$/);
  const json = lastLine((await place.cli('prune', '--plan', '--json')).stdout);
  expect(json).toMatchObject({ type: 'plan', snapshots: 1, totals: { unusedAfterBytes: 0 } });
  expect(files(place, 'data')).toEqual(before);
  expect(files(place, 'locks')).toEqual([]);
});

test('prune names and removes what a writer left that was killed, once nobody can be at it any more', async () => {
  const place = await newPlace();
  const [old, young] = [1, 2].map((digit) => join(place.repository, 'data', '00', `${'0'.repeat(64)}-tmp-${digit}`));
  for (const path of [old!, young!]) writeFileSync(path, Buffer.alloc(2048));
  const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
  utimesSync(old!, twoDaysAgo, twoDaysAgo);
  expect((await place.cli('prune', '--plan')).stdout).toMatch(/half written {3}1 file of writers that died, 2\.0 KiB/);
  expect(existsSync(old!)).toBe(true);
  const result = await place.cli('prune', '--json');
  expect(lastLine(result.stdout)).toMatchObject({ type: 'pruned', leftovers: { files: 1, bytes: 2048 } });
  expect([existsSync(old!), existsSync(young!)]).toEqual([false, true]);
});

test('prune deletes what only forgotten backups needed, and the rest is intact', async () => {
  const place = await placeToPrune();
  const before = files(place, 'data');
  const result = await place.cli('prune', '--json');
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  expect(lastLine(result.stdout)).toMatchObject({ type: 'pruned', errors: [] });
  expect(files(place, 'data')).not.toEqual(before);
  expect(await place.cli('check', '--read-data')).toMatchObject({ exitCode: 0 });
  expect((await place.cli('prune')).stderr).toBe('Nothing was deleted.\n');
});

test('prune takes no limit that makes no sense, and waits for nobody', async () => {
  const place = await placeToPrune();
  for (const limit of ['101%', 'some', '-1']) {
    expect(await place.cli('prune', `--max-unused=${limit}`), limit).toMatchObject({ exitCode: 1 });
  }
  writeFileSync(join(place.repository, 'locks', 'ab'.repeat(32)), '');
  expect(await place.cli('prune', '--plan', '--max-unused', 'unlimited')).toMatchObject({ exitCode: 0 });
});

test('repair index brings back what the index has lost', async () => {
  const place = await placeToPrune();
  expect((await place.cli('repair', 'index')).stdout).toBe('the index is sound\n');
  for (const name of files(place, 'index')) rmSync(join(place.repository, 'index', name));
  expect(await place.cli('check')).toMatchObject({ exitCode: 1 });
  expect((await place.cli('prune')).stderr).toMatch(/cannot be pruned: the index lacks [\s\S]*repair index/);
  expect((await place.cli('repair', 'index', '--plan')).stdout).toMatch(/\d+ packs to read\n$/);
  expect(files(place, 'index')).toEqual([]);
  expect(lastLine((await place.cli('repair', 'index', '--json')).stdout)).toMatchObject({
    type: 'repaired',
    unreadable: [],
  });
  expect(await place.cli('check', '--read-data')).toMatchObject({ exitCode: 0 });
});

test('a key can be added, used and removed, but never the one in use', async () => {
  const place = await newPlace();
  const file = join(place.folder, 'second');
  writeFileSync(file, 'second password\n');
  expect(await place.cli('key', 'add')).toMatchObject({ exitCode: 1 });
  const added = await place.cli('key', 'add', '--new-password-file', file, '--user', 'alice', '--json');
  const { id } = lastLine(added.stdout) as { id: string };
  const second = { ...place.env, HOLDFAST_PASSWORD: 'second password' };
  const keys: { id: string; current: boolean; username: string }[] = JSON.parse(
    (await runCli(['key', 'list', '--json'], { env: second })).stdout,
  );
  expect(keys.map(({ current }) => current)).toEqual([false, true]);
  expect(keys[1]).toMatchObject({ id, username: 'alice' });
  const own = await runCli(['key', 'remove', id.slice(0, 8)], { env: second });
  expect(own).toMatchObject({ exitCode: 1 });
  expect(own.stderr).toContain('is the one that this command was opened with');
  expect((await place.cli('key', 'remove', 'ffffffffffff')).stderr).toContain('No single key matches');
  expect(await place.cli('key', 'remove', id.slice(0, 8))).toMatchObject({ exitCode: 0 });
  expect(await runCli(['key', 'list'], { env: second })).toMatchObject({ exitCode: 12 });
});

test('the password can be changed, and the old one opens nothing any more', async () => {
  const place = await newPlace();
  const file = join(place.folder, 'new');
  writeFileSync(file, '');
  expect((await place.cli('key', 'passwd', '--new-password-file', file)).stderr).toContain('is empty');
  writeFileSync(file, 'new password');
  expect(await place.cli('key', 'passwd', '--new-password-file', file)).toMatchObject({ exitCode: 0 });
  expect(await place.cli('list')).toMatchObject({ exitCode: 12 });
  expect(await runCli(['list'], { env: { ...place.env, HOLDFAST_PASSWORD: 'new password' } })).toMatchObject({
    exitCode: 0,
  });
  expect(files(place, 'keys').length).toBe(1);
});

test('tags are added, removed and set, and a plan of it changes nothing', async () => {
  const place = await placeToPrune();
  expect(await place.cli('tag')).toMatchObject({ exitCode: 1 });
  expect(await place.cli('tag', '--set', 'a', '--add', 'b')).toMatchObject({ exitCode: 1 });
  expect((await place.cli('tag', '--add', 'a,b', '--plan')).stdout).toMatch(
    /would have the tags .*a, b\n1 backup would/,
  );
  expect((await backups(place))[0]!.id).toBe(place.kept);
  expect((await place.cli('tag', '--add', 'a,b', 'latest')).stdout).toMatch(
    /is [0-9a-f]{8} now: .*a, b\n1 backup changed\n/,
  );
  expect((await place.cli('tag', '--remove', 'a', '--tag', 'b')).exitCode).toBe(0);
  expect((await place.cli('tag', '--add', 'b')).stdout).toBe('0 backups changed\n');
  expect((await place.cli('tag', '--set', 'only')).exitCode).toBe(0);
  const [tagged, ...more] = await backups(place);
  expect(more).toEqual([]);
  expect((await place.cli('list', '--tag', 'only', '--json')).stdout).toContain(tagged!.id);
});

describeWith('restic', 'restic', () => {
  test('takes keys and tags for its own', async () => {
    const place = await placeToPrune();
    const file = join(place.folder, 'second');
    writeFileSync(file, 'second');
    await place.cli('key', 'add', '--new-password-file', file);
    await place.cli('tag', '--set', 'by-us');
    const env = { ...resticEnv(place), RESTIC_PASSWORD: 'second' };
    const [snapshot] = JSON.parse(await restic(['snapshots', '--json', '--tag', 'by-us'], { env }));
    expect(snapshot).toMatchObject({ original: place.kept, tags: ['by-us'] });
    await restic(['tag', '--set', 'by-restic'], { env });
    const [retagged] = JSON.parse((await place.cli('list', '--tag', 'by-restic', '--json')).stdout);
    expect(retagged).toBeDefined();
    await restic(['check', '--read-data'], { env: { ...env, RESTIC_PASSWORD: password } });
  });
});
