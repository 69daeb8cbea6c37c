import { describe, expect, test } from 'vitest';
import type { StoredSnapshot } from '../../src/repository/format/snapshot.ts';
import { type BackupRules, chooseBackups } from '../../src/restore/choose-backups.ts';

const rules: BackupRules = { allowIncomplete: false, isBegun: () => false };

/** Of a day of November; `claim` as namespace/name. */
function backupOf(claim: string, day: number, changes: { incomplete?: true; cluster?: string } = {}): StoredSnapshot {
  const [namespace = '', name = ''] = claim.split('/');
  const state = changes.incomplete === undefined ? 'complete' : 'incomplete';
  return {
    id: `${name}-${day}`,
    time: `2026-11-${String(day).padStart(2, '0')}T06:00:00Z`,
    paths: [`/${claim}`],
    tree: '',
    tags: [`namespace=${namespace}`, `claim=${name}`, `state=${state}`, `cluster-uid=${changes.cluster ?? 'c1'}`],
  };
}

function chosenOf(backups: StoredSnapshot[], changes: Partial<BackupRules> = {}): string[] {
  return chooseBackups(backups, { ...rules, ...changes }).choices.map(({ backup }) => backup.id);
}

describe('of each claim is taken', () => {
  const three = [backupOf('shop/b', 1), backupOf('shop/a', 2), backupOf('shop/b', 3)];

  test('the newest backup, in the order of the claims', () => {
    expect(chosenOf(three)).toEqual(['a-2', 'b-3']);
  });

  test('the newest one up to a time, and nothing of a claim that had none then', () => {
    expect(chosenOf(three, { beforeNs: BigInt(Date.parse('2026-11-02T00:00:00Z')) * 1_000_000n })).toEqual(['b-1']);
  });

  test('the newest complete one, and it is said that there is a newer one', () => {
    const backups = [backupOf('shop/a', 1), backupOf('shop/a', 2, { incomplete: true })];
    const { choices } = chooseBackups(backups, rules);
    expect(choices[0]).toMatchObject({ backup: { id: 'a-1' }, warnings: [expect.stringContaining('incomplete')] });
    expect(chosenOf(backups, { allowIncomplete: true })).toEqual(['a-2']);
  });

  test('an incomplete one where there is no other, which its plan then refuses', () => {
    expect(chosenOf([backupOf('shop/a', 1, { incomplete: true })])).toEqual(['a-1']);
  });

  test('the one whose restore was begun, though there is a newer one by now', () => {
    const { choices } = chooseBackups(three, { ...rules, isBegun: (_, id) => id === 'b-1' });
    expect(choices[1]).toMatchObject({ backup: { id: 'b-1' }, warnings: [expect.stringContaining('newer backup')] });
  });

  test('none where clusters that share the repository have a claim of that name', () => {
    const { choices, refusals } = chooseBackups([...three, backupOf('shop/b', 4, { cluster: 'c2' })], rules);
    expect(choices.map(({ backup }) => backup.id)).toEqual(['a-2']);
    expect(refusals.map(({ code }) => code)).toEqual(['BACKUP_OF_SEVERAL_CLUSTERS']);
  });

  test('the newest of a cluster and of the one that it adopted', () => {
    const adopted = { ...rules, clusterNow: () => 'c2' };
    const { choices } = chooseBackups([...three, backupOf('shop/b', 4, { cluster: 'c2' })], adopted);
    expect(choices.map(({ backup }) => backup.id)).toEqual(['a-2', 'b-4']);
  });

  test('nothing of a backup that is of no claim', () => {
    expect(chosenOf([{ ...backupOf('shop/a', 1), tags: [], paths: ['/home'] }])).toEqual([]);
  });
});
