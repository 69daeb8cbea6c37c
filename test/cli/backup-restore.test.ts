/** The program as a user and a script meet it: real processes, real repositories, the real restic as the judge. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree, noise } from '../fixtures/make-tree.ts';
import { describeWith, testWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { lastLine, makeFiles, newPlace, type Place, password, resticEnv } from './place.ts';
import { startCli } from './run-cli.ts';

test('a folder comes back as it was: names, contents, links, attributes', async () => {
  const place = await newPlace();
  const [source, target] = [join(place.folder, 'source'), join(place.folder, 'target')];
  makeTree(source, { smallFiles: 300 });
  expect(await place.cli('backup', '--dir', source)).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await place.cli('restore', 'latest', '--dir', target)).toMatchObject({ exitCode: 0, stderr: '' });
  expect(compareTrees(source, target)).toEqual([]);
});

describeWith('restic', 'with restic', () => {
  test('restic restores what holdfast backed up, and finds no fault in it', async () => {
    const place = await newPlace();
    const [source, target] = [join(place.folder, 'source'), join(place.folder, 'target')];
    makeTree(source, { smallFiles: 300, rawLinkTargets: false });
    await place.cli('backup', '--dir', source, '--tag', 'nightly');
    await restic(['check', '--read-data'], { env: resticEnv(place) });
    await restic(['restore', 'latest', '--target', target, '--tag', 'nightly'], { env: resticEnv(place) });
    expect(compareTrees(source, target)).toEqual([]);
  });

  test('holdfast restores what restic backed up', async () => {
    const place = await newPlace();
    const [source, target] = [join(place.folder, 'source'), join(place.folder, 'target')];
    makeTree(source, { smallFiles: 300, rawLinkTargets: false });
    await restic(['backup', '.'], { env: resticEnv(place), cwd: source });
    expect(await place.cli('restore', 'latest', '--dir', target)).toMatchObject({ exitCode: 0 });
    expect(compareTrees(source, target)).toEqual([]);
  });

  test('a backup that is killed leaves a sound repository, and the next one succeeds', async () => {
    const place = await newPlace();
    const source = join(place.folder, 'source');
    mkdirSync(source);
    for (let at = 0; at < 12; at++) writeFileSync(join(source, `large-${at}`), noise(`${at}`, 20 << 20));
    const killed = startCli(['backup', '--dir', source], { env: place.env });
    await untilPacksAppear(place.repository);
    killed.process.kill('SIGKILL');
    expect((await killed.result).exitCode).toBeUndefined();
    expect(JSON.parse((await place.cli('list', '--json')).stdout)).toEqual([]);

    expect(await place.cli('backup', '--dir', source)).toMatchObject({ exitCode: 0, stderr: '' });
    await place.cli('unlock', '--all');
    await restic(['check', '--read-data'], { env: resticEnv(place) });
    const target = join(place.folder, 'target');
    await place.cli('restore', 'latest', '--dir', target);
    expect(compareTrees(source, target)).toEqual([]);
  });

  test('a repository that somebody holds exclusively is refused with exit code 11', async () => {
    const place = await newPlace();
    const source = join(place.folder, 'source');
    makeFiles(source, 3);
    await place.cli('backup', '--dir', source);
    await lockExclusively(place);
    const refused = await place.cli('backup', '--dir', source);
    expect(refused).toMatchObject({ exitCode: 11, stdout: '' });
    expect(refused.stderr).toMatch(/^error: The repository is locked by .*\nhint: .*holdfast unlock/);
    expect(await place.cli('unlock', '--all')).toMatchObject({ exitCode: 0 });
    expect(await place.cli('backup', '--dir', source)).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

test('an interrupted backup ends with 130, says so, and leaves no lock and no backup', async () => {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  mkdirSync(source);
  for (let at = 0; at < 12; at++) writeFileSync(join(source, `large-${at}`), noise(`${at}`, 20 << 20));
  const running = startCli(['backup', '--dir', source], { env: place.env });
  await untilPacksAppear(place.repository);
  running.process.kill('SIGINT');
  const { exitCode, stderr, stdout } = await running.result;
  expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
  expect(stderr).toMatch(/^error: Interrupted by SIGINT\.\nhint: /);
  expect(readdirSync(join(place.repository, 'locks'))).toEqual([]);
  expect(readdirSync(join(place.repository, 'snapshots'))).toEqual([]);
});

test('a summary in JSON has the fields that scripts rely on', async () => {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  makeFiles(source, 5);
  const first = lastLine((await place.cli('backup', '--dir', source, '--json')).stdout);
  const id = expect.stringMatching(/^[0-9a-f]{64}$/);
  const counts = { filesNew: 5, filesChanged: 0, filesUnmodified: 0, bytesProcessed: 25_000, errors: 0 };
  expect(first).toMatchObject({ type: 'summary', backupId: id, ...counts, bytesAdded: expect.any(Number) });
  writeFileSync(join(source, 'file-0'), 'now longer'.repeat(1000));
  const second = lastLine((await place.cli('backup', '--dir', source, '--json')).stdout);
  expect(second).toMatchObject({ filesNew: 0, filesChanged: 1, errors: 0 });
});

test('list gives an array, oldest first, with id, time, host, paths and tags', async () => {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  makeFiles(source, 2);
  await place.cli('backup', '--dir', source, '--tag', 'a,b', '--tag', 'c', '--host', 'web-1');
  await place.cli('backup', '--dir', source, '--host', 'web-2');
  const all = JSON.parse((await place.cli('list', '--json')).stdout);
  expect(all).toMatchObject([
    { host: 'web-1', paths: [source], tags: ['a', 'b', 'c'], files: 2, sizeBytes: 10_000 },
    { host: 'web-2', paths: [source], tags: [] },
  ]);
  expect(Date.parse(all[0].time)).toBeLessThanOrEqual(Date.parse(all[1].time));
  expect(JSON.parse((await place.cli('list', '--json', '--host', 'web-2')).stdout)).toEqual([all[1]]);
  expect(JSON.parse((await place.cli('list', '--json', '--tag', 'c,a')).stdout)).toEqual([all[0]]);
  const table = (await place.cli('list')).stdout.split('\n');
  expect(table[0]).toMatch(/^BACKUP +TIME +HOST +OF +FILES +SIZE +STORED +TAGS$/);
  expect(table[1]).toMatch(new RegExp(`^${all[0].id.slice(0, 8)} .* web-1 +${source} +2 +9\\.8 KiB .* a, b, c$`));
});

test('a backup is found by id, by the beginning of its id, and as latest; anything else is explained', async () => {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  makeFiles(source, 2);
  const { backupId } = lastLine((await place.cli('backup', '--dir', source, '--json')).stdout) as { backupId: string };
  for (const [at, name] of [backupId, backupId.slice(0, 6), 'latest'].entries()) {
    expect(await place.cli('restore', name, '--dir', join(place.folder, `target-${at}`))).toMatchObject({
      exitCode: 0,
    });
  }
  const unknown = await place.cli('restore', 'ffffff0000', '--dir', join(place.folder, 'none'));
  expect(unknown).toMatchObject({ exitCode: 1, stdout: '' });
  expect(unknown.stderr).toBe(
    'error: No backup matches "ffffff0000".\nhint: Run `holdfast list` to see what there is.\n',
  );
});

test('a target with content is refused, and nothing in it is touched', async () => {
  const place = await newPlace();
  const [source, target] = [join(place.folder, 'source'), join(place.folder, 'target')];
  makeFiles(source, 2);
  mkdirSync(target);
  writeFileSync(join(target, 'mine'), 'precious');
  await place.cli('backup', '--dir', source);
  expect(await place.cli('restore', 'latest', '--dir', target)).toMatchObject({ exitCode: 1 });
  expect(readdirSync(target)).toEqual(['mine']);
  expect(await place.cli('restore', 'latest', '--dir', target, '--overwrite')).toMatchObject({ exitCode: 0 });
  expect(readdirSync(target).sort()).toEqual(['file-0', 'file-1', 'mine']);
});

testWith('root', 'files that cannot be read are named, the rest is stored, and the exit code is 3', async () => {
  const place = await newPlace({ uid: 65_534 });
  const source = join(place.folder, 'source');
  makeFiles(source, 3);
  chmodSync(join(source, 'file-1'), 0o000);
  const result = await place.cli('backup', '--dir', source, '--json');
  expect(result.exitCode).toBe(3);
  expect(lastLine(result.stdout)).toMatchObject({ type: 'summary', filesNew: 2, errors: 1 });
  const [fileError, failure] = result.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(fileError).toMatchObject({ type: 'file-error', path: join(source, 'file-1') });
  expect(failure).toMatchObject({ type: 'error', code: 'BACKUP_INCOMPLETE', exitCode: 3 });
  expect(JSON.parse((await place.cli('list', '--json')).stdout)).toMatchObject([{ state: 'incomplete' }]);
  const text = await place.cli('restore', 'latest', '--dir', join(place.folder, 'target'));
  expect(text.stderr).toContain('This backup is incomplete');
  expect(readdirSync(join(place.folder, 'target')).sort()).toEqual(['file-0', 'file-2']);
});

async function untilPacksAppear(repository: string): Promise<void> {
  const packs = (): string[] => readdirSync(join(repository, 'data'), { recursive: true, encoding: 'utf8' });
  while (!packs().some((path) => /[0-9a-f]{64}$/.test(path))) await new Promise((next) => setTimeout(next, 5));
}

/** As a prune in another place would hold it. */
async function lockExclusively(place: Place): Promise<void> {
  const { openStore } = await import('../../src/store/open-store.ts');
  const { openRepository, saveFile } = await import('../../src/repository/repository.ts');
  const { encodeLock } = await import('../../src/repository/format/lock.ts');
  const store = await openStore(place.repository);
  const repository = await openRepository(store, password);
  const lock = { time: new Date().toISOString(), exclusive: true, hostname: 'elsewhere', username: 'ann', pid: 7 };
  await saveFile(repository, 'locks', encodeLock(lock));
  await store.close();
}
