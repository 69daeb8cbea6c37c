import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { restoreIdOf } from '../../src/restore/marks.ts';
import {
  type ConsumerFacts,
  type InPlaceFacts,
  type InPlaceRequest,
  planInPlace,
} from '../../src/restore/plan-in-place.ts';
import { backup, recipeOf } from './cluster-facts.ts';

const target = { namespace: 'shop', name: 'data-db-0' };
const restoreId = restoreIdOf(backup.id, target.namespace, target.name);
const claim = {
  uid: 'c1a1',
  phase: 'Bound',
  volumeMode: 'Filesystem',
  capacityBytes: 200 * 2 ** 20,
  restoreId: null,
  begun: null,
};
const set: ConsumerFacts = { kind: 'StatefulSet', name: 'db', uid: 'u', replicas: 3, obstacle: null, heldBy: null };
const facts: InPlaceFacts = { claim, consumers: [set], otherPods: [], snapshotClass: 'snap' };
const wishes = { deleteOthers: true, noSafetySnapshot: false, allowIncomplete: false };
const noClass = new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: 'shop/data-db-0', reason: 'no class' });

function planning(changes: Partial<InPlaceFacts> = {}, rest: Partial<InPlaceRequest> = {}) {
  return planInPlace({ backup, recipe: recipeOf(), target, facts: { ...facts, ...changes }, wishes, ...rest });
}

function claimWith(changes: Partial<NonNullable<InPlaceFacts['claim']>>): Partial<InPlaceFacts> {
  return { claim: { ...claim, ...changes } };
}

describe('a restore in place', () => {
  test('scales away who uses the claim, and makes a snapshot of what is there (R8.3)', () => {
    const { plan } = planning();
    expect(plan).toMatchObject({ consumers: [set], snapshotClass: 'snap', resumes: false, warnings: [] });
    expect(plan?.target).toEqual({ ...target, uid: 'c1a1' });
  });

  test('needs no snapshot class where it may do without, and says what that means', () => {
    const { plan } = planning({ snapshotClass: noClass }, { wishes: { ...wishes, noSafetySnapshot: true } });
    expect(plan).toMatchObject({ snapshotClass: null, warnings: [expect.stringContaining('cannot be had back')] });
  });

  test('goes on with what it has begun, also where no snapshot can be made any more', () => {
    const begun = { restoreId, snapshot: 'holdfast-before-1', filling: true };
    const held = { ...set, replicas: 0, obstacle: 'x', heldBy: restoreId };
    const { plan } = planning({ ...claimWith({ begun }), consumers: [held], snapshotClass: noClass });
    expect(plan).toMatchObject({ resumes: true });
  });

  test.each([
    ['of another claim', { ...target, name: 'other' }, 'c1a1', 'not of shop/other'],
    ['of a claim that was made anew', target, 'new', 'made anew'],
  ])('warns of a backup %s', (_, to, uid, words) => {
    expect(planning(claimWith({ uid }), { target: to }).plan?.warnings).toEqual([expect.stringContaining(words)]);
  });

  test('says that files stay which are not in the backup', () => {
    const { plan } = planning({}, { wishes: { ...wishes, deleteOthers: false } });
    expect(plan?.warnings).toEqual([expect.stringContaining('--delete')]);
  });
});

describe('it is refused', () => {
  const other = { restoreId: 'other', snapshot: 'holdfast-before-2', filling: true };
  const idle = { restoreId, snapshot: 'holdfast-before-3', filling: false };

  test.each<[string, Partial<InPlaceFacts>, string]>([
    ['where there is no claim', { claim: null }, 'CLAIM_NOT_FOUND'],
    ['where the claim is not bound', claimWith({ phase: 'Pending' }), 'TARGET_NOT_BOUND'],
    ['where the claim waits for a restore', claimWith({ restoreId: 'x', phase: 'Bound' }), 'RESTORE_REFUSED'],
    ['where another restore is half done', claimWith({ begun: other }), 'TARGET_HALF_RESTORED'],
    ['where the claim is a device', claimWith({ volumeMode: 'Block' }), 'TARGET_WRONG_MODE'],
    ['where the claim is too small', claimWith({ capacityBytes: 60 * 2 ** 20 }), 'CLAIM_TOO_SMALL'],
    ['where a pod uses it that nobody can scale', { otherPods: ['pod x uses it'] }, 'TARGET_IN_USE'],
    ['where an operator would start the pods again', { consumers: [{ ...set, obstacle: 'it' }] }, 'TARGET_IN_USE'],
    ['where another restore holds the set', { consumers: [{ ...set, heldBy: 'other' }] }, 'TARGET_IN_USE'],
    ['where no snapshot can be made', { snapshotClass: noClass }, 'SAFETY_SNAPSHOT_IMPOSSIBLE'],
    [
      'where none can be made for what was begun and has not touched the content yet',
      { ...claimWith({ begun: idle }), snapshotClass: noClass },
      'SAFETY_SNAPSHOT_IMPOSSIBLE',
    ],
  ])('%s', (_, changes, code) => {
    const { plan, refusals } = planning(changes);
    expect(plan).toBeNull();
    expect(refusals.map((one) => one.code)).toEqual([code]);
  });

  test('for a backup that is incomplete, or that only a new volume can be made of', () => {
    expect(planning({}, { backup: { ...backup, complete: false } }).refusals[0]?.code).toBe('BACKUP_NOT_COMPLETE');
    expect(planning({}, { backup: { ...backup, inStorage: true } }).refusals[0]?.code).toBe('RESTORE_REFUSED');
  });
});
