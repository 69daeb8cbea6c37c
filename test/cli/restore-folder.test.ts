import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lastLine, newPlace } from './place.ts';

test('restore --dir takes a folder of a backup, patterns and --delete, and shows a plan of it', async () => {
  const place = await newPlace();
  const [source, target] = [join(place.folder, 'source'), join(place.folder, 'target')];
  mkdirSync(join(source, 'docs', 'old'), { recursive: true });
  for (const name of ['a.txt', 'b.log', 'old/c.txt']) writeFileSync(join(source, 'docs', name), name);
  await place.cli('backup', '--dir', source);
  const patterns = join(place.folder, 'patterns');
  writeFileSync(patterns, '# all text\n*.txt\n');
  const restore = (...args: string[]) => place.cli('restore', 'latest:/docs', '--dir', target, ...args);

  expect(await restore('--include-file', patterns, '--verify')).toMatchObject({ exitCode: 0, stderr: '' });
  expect(readdirSync(target, { recursive: true }).sort()).toEqual(['a.txt', 'old', 'old/c.txt']);

  writeFileSync(join(target, 'a.txt'), 'other');
  writeFileSync(join(target, 'surplus'), '');
  const plan = await restore('--delete', '--plan', '--json');
  expect(plan).toMatchObject({ exitCode: 0, stderr: '' });
  const entries = plan.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(entries).toContainEqual({ type: 'entry', action: 'delete', path: 'surplus' });
  expect(entries).toContainEqual({ type: 'entry', action: 'update', kind: 'file', path: 'a.txt', sizeBytes: 5 });
  expect(entries.at(-1)).toMatchObject({
    type: 'plan',
    target,
    create: { entries: 1, bytes: 5 },
    delete: { entries: 1 },
  });
  expect(readFileSync(join(target, 'a.txt'), 'utf8')).toBe('other');

  const done = await restore('--delete', '--json');
  expect(lastLine(done.stdout)).toMatchObject({ files: 3, filesUnchanged: 1, deleted: 1, errors: 0, verified: false });
  expect(readdirSync(target).sort()).toEqual(['a.txt', 'b.log', 'old']);

  rmSync(join(target, 'b.log'));
  writeFileSync(join(target, 'a.txt'), 'mine');
  const never = await restore('--overwrite', 'never', '--exclude', 'old');
  expect(never.stdout).toContain('left    1 entry as they are (--overwrite never)');
  expect(readFileSync(join(target, 'a.txt'), 'utf8')).toBe('mine');
});

test('restore says which options do not go together', async () => {
  const place = await newPlace();
  const problem = async (...args: string[]) => (await place.cli('restore', 'latest', ...args)).stderr.split('\n')[0];
  expect(await problem('--dir', 'x', '--overwrite', 'sometimes')).toContain(
    'expected always, if-changed, if-newer, never',
  );
  expect(await problem('--delete')).toContain('--delete is for --dir, not for claims');
  expect(await problem('--dir', 'x', '--zone', 'a')).toContain('--zone is for claims, not for --dir');
});
