/** A check of a part of the data takes the same part as restic's. */
import { expect, test } from 'vitest';
import { parseSubset, selectPacks } from '../../src/repository/check-subset.ts';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { makeRepository } from './restic-repository.ts';

describeWith('restic', 'a part of the data', () => {
  test('has as many packs as for restic, whichever way it is given', async () => {
    const { repository, env } = await makeRepository();
    for (let seed = 0; seed < 5; seed++) {
      await restic(['backup', '--stdin', '--stdin-filename', `file-${seed}`], {
        env,
        input: noise(`${seed}`, 100_000),
      });
    }
    const packs = new Map<string, { sizeBytes: number }>();
    for await (const { name, sizeBytes } of repository.store.list('data')) packs.set(name, { sizeBytes });
    expect(packs.size).toBe(10);
    for (const subset of ['1/3', '2/3', '3/3', '7/256', '35%', '2.5%', '100%', '300K', '1G']) {
      const said = await restic(['check', `--read-data-subset=${subset}`], { env });
      const read = /(\d+) \/ \d+ packs/.exec(said)?.[1] ?? '0';
      expect([subset, selectPacks(packs, parseSubset(subset)).size]).toEqual([subset, Number(read)]);
    }
    for (const subset of ['0/3', '4/3', '1/257', '0%', '101%', '-1%', '5', '1.5G', 'x']) {
      expect((await resticResult(['check', `--read-data-subset=${subset}`], { env })).exitCode, subset).not.toBe(0);
      expect(() => parseSubset(subset), subset).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });
});
