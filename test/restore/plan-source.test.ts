import { describe, expect, test } from 'vitest';
import type { RecordedSnapshot } from '../../src/manifest/kept-snapshot.ts';
import type { BackupFacts, ClusterFacts, KeptFacts, RestoreWishes } from '../../src/restore/facts.ts';
import { planRestore } from '../../src/restore/plan.ts';
import { backup, facts, recipeOf } from './cluster-facts.ts';

const recipe = recipeOf();
const driver = facts.storageClasses.find(({ metadata }) => metadata.name === 'standard')?.provisioner ?? '';
const keptSnapshot: RecordedSnapshot = {
  ...{
    driver,
    handle: 'snap-1',
    class: 'standard',
    namespace: 'shop',
    name: 'holdfast-data',
    content: 'snapcontent-1',
  },
  ...{ restoreSizeBytes: 200 << 20, cutAt: '2026-11-01T06:00:00Z' },
  contentMarks: { annotations: {}, labels: {} },
};
const present: KeptFacts = { state: 'present', reason: 'it is there' };
const gone: KeptFacts = { state: 'gone', reason: 'it is gone' };
const unknown: KeptFacts = { state: 'unknown', reason: 'another cluster made it' };

interface Case {
  readonly kept?: KeptFacts;
  readonly snapshot?: Partial<RecordedSnapshot>;
  readonly backup?: Partial<BackupFacts>;
  readonly facts?: Partial<ClusterFacts>;
  readonly wishes?: RestoreWishes;
}

function planning(given: Case) {
  const kept = given.kept === undefined ? {} : { keptSnapshot: { ...keptSnapshot, ...given.snapshot } };
  return planRestore({
    backup: { ...backup, ...given.backup },
    recipe: { ...recipe, ...kept },
    facts: { ...facts, kept: given.kept ?? null, ...given.facts },
    wishes: given.wishes ?? {},
  });
}

function sourceOf(given: Case): string {
  const { plan, refusals } = planning(given);
  if (plan === null) return refusals.map(({ code, message }) => `${code}: ${message}`).join();
  const { source } = plan;
  return `${source.kind} (${source.reason})${source.kind === 'snapshot' && source.node !== null ? ` on ${source.node}` : ''}`;
}

const inStorage = { backup: { inStorage: true, files: null, bytes: null } };

describe('where the data of a restore comes from', () => {
  test.each<[string, Case, RegExp]>([
    ['nothing was kept', {}, /^repository \(no CSI snapshot was kept/],
    ['it is there, beside the repository', { kept: present }, /^snapshot \(it is there: .*\) on node-/],
    ['it is gone', { kept: gone }, /^repository \(.*cannot be used: it is gone\)/],
    ['only the storage can tell', { kept: unknown }, /^repository \(.*not sure.*another cluster made it\)/],
    ['the volume was elsewhere (R5.7)', { kept: present, wishes: { zone: 'c' } }, /^repository \(.*only there\)/],
    ['another driver (R3.3)', { kept: present, snapshot: { driver: 'x' } }, /^repository \(.*driver x/],
    ['a smaller volume (R3.3)', { kept: present, snapshot: { restoreSizeBytes: 1 << 30 } }, /^repository \(.*1\.0 GiB/],
    ['a driver that tells no size (R1.15)', { kept: present, snapshot: { restoreSizeBytes: null } }, /^snapshot/],
  ])('chosen by itself: %s', (_, given, expected) => {
    expect(sourceOf(given)).toMatch(expected);
  });

  test.each<[string, Case, RegExp]>([
    ['from the repository', { kept: present, wishes: { from: 'repository' } }, /^repository \(chosen\)/],
    ['from a snapshot that is there', { kept: present, wishes: { from: 'snapshot' } }, /^snapshot/],
    ['from one that only the storage knows', { kept: unknown, wishes: { from: 'snapshot' } }, /^snapshot \(.*snap-1/],
    ['from one that is gone', { kept: gone, wishes: { from: 'snapshot' } }, /^KEPT_SNAPSHOT_UNUSABLE: .*it is gone/],
    ['from one that never was', { wishes: { from: 'snapshot' } }, /^KEPT_SNAPSHOT_UNUSABLE/],
  ])('asked for %s: done or refused, never done otherwise', (_, given, expected) => {
    expect(sourceOf(given)).toMatch(expected);
  });

  test.each<[string, Case, RegExp]>([
    ['there', { kept: present, ...inStorage }, /^snapshot/],
    ['in a rebuilt cluster', { kept: unknown, ...inStorage }, /^snapshot/],
    ['gone', { kept: gone, ...inStorage }, /^KEPT_SNAPSHOT_UNUSABLE/],
    [
      'there, but the repository is asked for',
      { kept: present, ...inStorage, wishes: { from: 'repository' } },
      /^KEPT_/,
    ],
  ])('a backup without data in the repository comes from its snapshot alone: %s', (_, given, expected) => {
    expect(sourceOf(given)).toMatch(expected);
  });

  test('the temporary claim is made from a snapshot of its own name, and goes to the planned node by the class', () => {
    const { plan } = planning({ kept: present });
    const { metadata, spec } = plan!.temporaryClaim;
    expect(spec.dataSource).toEqual({
      apiGroup: 'snapshot.storage.k8s.io',
      kind: 'VolumeSnapshot',
      name: metadata.name,
    });
    expect(metadata.annotations['volume.kubernetes.io/selected-node']).toMatch(/^node-/);
    expect(plan!.claim.spec.dataSource).toBeUndefined();
    const other = planning({ kept: present, wishes: { from: 'repository' } }).plan!;
    const markOf = (one: typeof other) => one.temporaryClaim.metadata.annotations['restore.holdfast.dev/plan'];
    expect(markOf(other)).not.toBe(markOf(plan!));
  });

  test('a snapshot that may not be readable there is tried only when it was asked for, with a warning', () => {
    const { plan } = planning({ kept: present, wishes: { from: 'snapshot', zone: 'c' } });
    expect(plan!.warnings).toEqual([expect.stringContaining('only there')]);
  });
});
