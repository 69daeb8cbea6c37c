/** The WASM in the repository is what its sources give. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../setup/temp-dir.ts';

const folder = resolve(import.meta.dirname, '../../../src/repository/chunker');

test.each(['gear', 'rabin'])('%s.wasm is built from its source', async (name) => {
  const out = join(await tempDir(), `${name}.wasm`);
  const asc = resolve(import.meta.dirname, '../../../node_modules/assemblyscript/bin/asc.js');
  execFileSync(process.execPath, [asc, `${name}.ts`, '--config', 'asconfig.json', '-o', out], {
    cwd: join(folder, 'assembly'),
    stdio: 'pipe',
  });
  expect(readFileSync(out).equals(readFileSync(join(folder, `${name}.wasm`)))).toBe(true);
});
