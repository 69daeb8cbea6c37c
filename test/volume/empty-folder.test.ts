import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emptyFolder } from '../../src/volume/empty-folder.ts';
import { tempDir } from '../setup/temp-dir.ts';

test('everything in the folder goes but lost+found, and nothing behind its links', async () => {
  const root = await tempDir();
  const folder = join(root, 'volume');
  const outside = join(root, 'outside');
  for (const path of [outside, join(folder, 'a/b'), join(folder, 'lost+found')]) mkdirSync(path, { recursive: true });
  writeFileSync(join(outside, 'keep'), 'kept');
  writeFileSync(join(folder, 'a/b/file'), 'x', { mode: 0o000 });
  writeFileSync(join(folder, '.hidden'), 'x');
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]), 'no text');
  symlinkSync(outside, join(folder, 'link'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);

  await emptyFolder(folder);

  expect(readdirSync(folder)).toEqual(['lost+found']);
  expect(readFileSync(join(outside, 'keep'), 'utf8')).toBe('kept');
});
