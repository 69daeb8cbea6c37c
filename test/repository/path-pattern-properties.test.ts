/** Patterns that nobody thought of mean what they mean to restic, and none takes long. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { matchPatterns, parsePattern, pathNames } from '../../src/repository/path-pattern.ts';
import { PathSearch } from '../../src/repository/path-search.ts';
import { findSnapshot } from '../../src/repository/snapshots.ts';
import { describeWith } from '../setup/needs.ts';
import { holds, holdsAsync } from '../setup/properties.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { makeRepository } from './restic-repository.ts';

const names = ['a', 'b', 'ab', 'ba', 'A', 'a.b', '-', '[a]', 'ä', 'a*b', '!a', 'b b'];
const pieces = ['a', 'b', 'A', '.', '-', '*', '?', '**', '[ab]', '[^a]', '[a-c]', '[', ']', '\\', '\\*', '!', 'ä', ' '];
const name = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(''));
const pattern = fc
  .tuple(fc.constantFrom('', '/'), fc.array(name, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/'))
  .map(([start, parts, end]) => start + parts.join('/') + end);

interface Found {
  readonly matches: { readonly path: string }[];
}

describeWith('restic', 'drawn patterns', () => {
  test('find what restic finds', { timeout: 1_200_000 }, async () => {
    const source = await tempDir();
    for (const one of names) {
      for (const two of names) {
        const path = join(source, one, two, `${one}${two}`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, '');
      }
    }
    const { repository, env } = await makeRepository();
    await restic(['backup', '.'], { cwd: source, env });
    const snapshot = await findSnapshot(repository, 'latest');
    const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
    await holdsAsync(
      // restic's find drops a `!` at the beginning without negating; here it is a character like any other.
      fc.asyncProperty(
        pattern.filter((text) => !text.startsWith('!')),
        async (text) => {
          const byRestic = await restic(['find', '--json', '--', text], { env }).then(
            (json) => (JSON.parse(json) as Found[]).flatMap(({ matches }) => matches.map(({ path }) => path)).sort(),
            () => 'refused',
          );
          const found: string[] = [];
          const search = async (): Promise<string[]> => {
            const paths = new PathSearch([parsePattern(text)], false);
            for await (const { path } of paths.in(reader, snapshot.tree, AbortSignal.timeout(60_000))) {
              found.push(path.toString());
            }
            return found.sort();
          };
          const ours = await search().catch(() => 'refused');
          // restic reads a part of a pattern only where it comes to it.
          if (ours === 'refused') expect(['refused', []]).toContainEqual(byRestic);
          else expect(ours).toEqual(byRestic);
        },
      ),
      8,
    );
  });
});

test('a pattern without wildcards matches exactly its own path and what lies below', () => {
  const plain = fc.array(fc.constantFrom('a', 'b', 'ab', 'ä', '.x'), { minLength: 1, maxLength: 4 });
  holds(
    fc.property(plain, plain, (one, other) => {
      const matched = matchPatterns(
        [parsePattern(`/${one.join('/')}`)],
        pathNames(Buffer.from(`/${other.join('/')}`)),
      ).matched;
      expect(matched).toBe(one.length <= other.length && one.every((part, at) => part === other[at]));
    }),
  );
});

test('what may match below is never denied: a path that matches has parents that may', () => {
  const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 });
  holds(
    fc.property(pattern, path, (text, parts) => {
      const patterns = [];
      try {
        patterns.push(parsePattern(text));
      } catch {
        // Not a pattern: nothing to hold.
      }
      if (!matchPatterns(patterns, pathNames(Buffer.from(`/${parts.join('/')}`))).matched) return;
      for (let depth = 1; depth < parts.length; depth++) {
        const above = matchPatterns(patterns, pathNames(Buffer.from(`/${parts.slice(0, depth).join('/')}`)));
        expect(above.matched || above.mayMatchBelow).toBe(true);
      }
    }),
    2000,
  );
});
