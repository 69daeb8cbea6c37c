import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaFiles } from './schema-files.ts';

test('the JSON schemas in docs are those that the program reads by (npm run docs:schemas)', () => {
  const files = schemaFiles();
  expect(files.size).toBe(3);
  for (const [path, text] of files) {
    // The layout of the file is the formatter's.
    expect(JSON.parse(readFileSync(path, 'utf8')), path).toEqual(JSON.parse(text));
  }
});
