/** check, forget and unlock as users and scripts meet them. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { makeFiles, newPlace, type Place, resticEnv } from './place.ts';

/** Three backups, the first two of one host. */
async function placeWithBackups(): Promise<Place & { readonly ids: readonly string[] }> {
  const place = await newPlace();
  const source = join(place.folder, 'source');
  for (const [at, host] of ['web-1', 'web-1', 'web-2'].entries()) {
    makeFiles(source, 2 + at);
    await place.cli('backup', '--dir', source, '--host', host);
  }
  const ids = await backupIds(place);
  expect(ids.length).toBe(3);
  return { ...place, ids };
}

async function backupIds(place: Place): Promise<string[]> {
  const entries: { id: string }[] = JSON.parse((await place.cli('list', '--json')).stdout);
  return entries.map(({ id }) => id);
}

function packsOf(place: Place): string[] {
  const paths = readdirSync(join(place.repository, 'data'), { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => /[0-9a-f]{64}$/.test(path)).map((path) => join(place.repository, 'data', path));
}

test('a sound repository passes, and the report counts what was looked at', async () => {
  const place = await placeWithBackups();
  const result = await place.cli('check', '--read-data', '--json');
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  const packs = packsOf(place).length;
  expect(JSON.parse(result.stdout)).toMatchObject({
    type: 'summary',
    ok: true,
    errorCount: 0,
    snapshots: 3,
    packs,
    packsRead: packs,
  });
  expect((await place.cli('check')).stdout).toMatch(/^checked 3 backups in .*\n[\s\S]*\nno errors were found\n$/);
});

test('a flipped byte is found by reading the data, a missing pack even without', async () => {
  const place = await placeWithBackups();
  const [pack = ''] = packsOf(place);
  const bytes = readFileSync(pack);
  bytes[100]! ^= 1;
  rmSync(pack);
  writeFileSync(pack, bytes);
  const flipped = await place.cli('check', '--read-data');
  expect(flipped.exitCode).toBe(1);
  expect(flipped.stderr).toMatch(/error: pack [0-9a-f]{8}: [\s\S]*error: The repository has \d+ errors?\.\nhint: /);
  rmSync(pack);
  const missing = await place.cli('check', '--json');
  expect(missing.exitCode).toBe(1);
  expect(JSON.parse(missing.stdout)).toMatchObject({ ok: false });
  expect(JSON.parse(missing.stdout).errors).toContainEqual(
    expect.objectContaining({ kind: 'pack', message: 'it is missing' }),
  );
  expect(JSON.parse(missing.stderr)).toMatchObject({ code: 'CHECK_FAILED' });
});

test('a plan of forget says what would go and why the rest stays, and removes nothing', async () => {
  const place = await placeWithBackups();
  const [first, second, third] = place.ids;
  const plan = await place.cli('forget', '--keep-last', '1', '--plan', '--json');
  expect(JSON.parse(plan.stdout)).toMatchObject([
    { host: 'web-1', keep: [{ id: second }], remove: [{ id: first }], reasons: [{ matches: ['last snapshot'] }] },
    { host: 'web-2', keep: [{ id: third }], remove: null },
  ]);
  const text = await place.cli('forget', '--keep-last', '1', '--plan');
  expect(text).toMatchObject({ exitCode: 0, stderr: '' });
  expect(text.stdout).toContain(`  remove  ${first?.slice(0, 8)}  `);
  expect(await backupIds(place)).toEqual(place.ids);
});

test('forget removes what no rule keeps, or the backups that were named, and nothing else', async () => {
  const place = await placeWithBackups();
  const [first, second, third] = place.ids;
  expect(await place.cli('forget', '--keep-last', '1', '--host', 'web-1')).toMatchObject({ exitCode: 0 });
  expect(await backupIds(place)).toEqual([second, third]);
  expect(await place.cli('forget', third!.slice(0, 8))).toMatchObject({ exitCode: 0 });
  expect(await backupIds(place)).toEqual([second]);
  expect((await place.cli('forget', first!)).stderr).toContain('No backup matches');
});

test('forget without a rule, or with both rules and names, removes nothing', async () => {
  const place = await placeWithBackups();
  expect(await place.cli('forget')).toMatchObject({ exitCode: 1 });
  expect(await place.cli('forget', place.ids[0]!, '--keep-last', '1')).toMatchObject({ exitCode: 1 });
  expect(await place.cli('forget', '--keep-last', '0x1')).toMatchObject({ exitCode: 1 });
  expect(await backupIds(place)).toEqual(place.ids);
});

describeWith('restic', 'with restic', () => {
  test('restic finds the repository sound after forget, and prunes it', async () => {
    const place = await placeWithBackups();
    await place.cli('forget', '--keep-last', '1');
    await restic(['prune'], { env: resticEnv(place) });
    await restic(['check', '--read-data'], { env: resticEnv(place) });
    expect(await place.cli('check', '--read-data')).toMatchObject({ exitCode: 0 });
  });
});

test('unlock says what it removed, and leaves nothing to remove', async () => {
  const place = await newPlace();
  expect((await place.cli('unlock')).stdout).toBe('no stale locks\n');
  writeFileSync(join(place.repository, 'locks', 'ab'.repeat(32)), 'not a lock');
  expect((await place.cli('unlock', '--all', '--plan')).stdout).toMatch(
    /^would remove lock abababab .*\n1 lock would be/,
  );
  expect(readdirSync(join(place.repository, 'locks'))).toHaveLength(1);
  expect(JSON.parse((await place.cli('unlock', '--all', '--json')).stdout)).toMatchObject({
    type: 'unlocked',
    removed: [{ id: 'ab'.repeat(32) }],
  });
  expect(readdirSync(join(place.repository, 'locks'))).toEqual([]);
});
