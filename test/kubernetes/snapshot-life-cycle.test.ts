/** A VolumeSnapshot from its making to its readiness, told step by step as a snapshot controller tells it (R1.1–R1.15). */
import { afterEach, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/cluster/object.ts';
import { restoreSizeOf, waitForCut, waitForReady } from '../../src/cluster/volume-snapshot.ts';
import { json, refuse, type ScriptedServer, startScriptedServer } from './scripted-server.ts';

let server: ScriptedServer | undefined;

afterEach(async () => server?.stop());

type Status = Readonly<Record<string, unknown>>;

const untouched: KubeObject = {
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshot',
  metadata: { name: 'cut', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
};
const taken: KubeObject = { ...untouched, metadata: { ...untouched.metadata, finalizers: ['as-source'] } };
const bound = { boundVolumeSnapshotContentName: 'content-1' };
const creationTime = '2026-11-01T06:00:00Z';
const error = (message: string): Status => ({ ...bound, readyToUse: false, error: { message } });
const cut: Status = { ...bound, creationTime, readyToUse: false, restoreSize: '0' };
const ready: Status = { ...cut, readyToUse: true };

/** The server shows one state after the other, and the last one for ever. `undefined`: the snapshot is gone. */
async function show(states: readonly (KubeObject | Status | undefined)[], content?: unknown) {
  let at = 0;
  server = await startScriptedServer(({ url }) => {
    if (url.searchParams.has('watch')) return (response) => response.end();
    if (url.pathname.includes('volumesnapshotcontents')) {
      return content === undefined ? refuse(404, 'NotFound', 'no such content') : json(200, content);
    }
    const state = states[Math.min(at++, states.length - 1)];
    const object = state === undefined || 'metadata' in state ? state : { ...taken, status: state };
    return json(200, { metadata: { resourceVersion: `${at}` }, items: object === undefined ? [] : [object] });
  });
  const told: string[] = [];
  const watch = { claim: 'shop/data', timeoutMs: 400, onProblem: (problem: string) => void told.push(problem) };
  return { cluster: server.cluster, watch, told };
}

describe('the cut', () => {
  test('waits through errors that pass, and tells each of them once (R1.13)', async () => {
    const { cluster, watch, told } = await show([untouched, error('busy'), error('busy'), error('full'), cut]);
    expect((await waitForCut(cluster, untouched, { ...watch, timeoutMs: 30_000 })).status).toMatchObject({
      creationTime,
    });
    expect(told).toEqual(['busy', 'full']);
  });

  test('counts as soon as it is there, though the last error is still shown and the copy is not ready (R1.10, R1.13)', async () => {
    const { cluster, watch } = await show([{ ...cut, error: { message: 'busy' } }]);
    await expect(waitForCut(cluster, untouched, { ...watch, timeoutMs: 30_000 })).resolves.toBeDefined();
  });

  test('is not there with the name of a content alone (R1.10)', async () => {
    const { cluster, watch } = await show([{ ...bound, readyToUse: false }]);
    await expect(waitForCut(cluster, untouched, watch)).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' });
  });

  test('fails at its deadline with all errors that were seen', async () => {
    const { cluster, watch } = await show([error('busy'), error('full')]);
    const failing = waitForCut(cluster, untouched, watch);
    await expect(failing).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: expect.stringMatching(/busy; full/),
    });
  });

  test.each([
    ['failed to get input parameters: cannot find CSI PersistentVolumeSource for volume pvc-1'],
    ['snapshotting non-CSI volumes is not supported'],
    ['volumesnapshotclass.snapshot.storage.k8s.io "daily" not found'],
  ])('fails at once where no retry can help: %s', async (message) => {
    const { cluster, watch } = await show([error(message)]);
    const failing = waitForCut(cluster, untouched, { ...watch, timeoutMs: 60_000 });
    await expect(failing).rejects.toMatchObject({ code: 'SNAPSHOT_FAILED' });
  });

  test.each<[string, KubeObject | Status | undefined, RegExp]>([
    ['nobody touched it (R1.1)', untouched, /is the snapshot controller running/],
    ['only the controller did (R1.1)', taken, /is its csi-snapshotter running/],
    ['it is gone', undefined, /somebody removed it/],
    ['it is another one', { ...taken, metadata: { ...taken.metadata, uid: 'u2' } }, /somebody removed it/],
  ])('says what is missing: %s', async (_, state, expected) => {
    const { cluster, watch } = await show([state]);
    await expect(waitForCut(cluster, untouched, watch)).rejects.toThrow(expected);
  });
});

describe('the copy', () => {
  const contentOf = (uid: string, namespace = 'shop') => ({
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshotContent',
    metadata: { name: 'content-1', uid: 'c1' },
    spec: { volumeSnapshotRef: { namespace, name: 'cut', uid } },
  });

  test('is ready later, by a deadline of its own, and may go back to not ready before that (R1.12)', async () => {
    const { cluster, watch } = await show([cut, error('SnapshotContentMissing'), cut, ready], contentOf('u1'));
    expect((await waitForReady(cluster, untouched, watch)).status).toMatchObject({ readyToUse: true });
  });

  test('that is not ready in time is told as one that is cut and still prepared', async () => {
    const { cluster, watch } = await show([cut]);
    await expect(waitForReady(cluster, untouched, watch)).rejects.toThrow(/is cut, and the driver still prepares it/);
  });

  test.each<[string, unknown]>([
    ['names another snapshot of that name', contentOf('u2')],
    ['names one in another namespace', contentOf('u1', 'other')],
    ['is gone', undefined],
  ])('is not used where its content %s (R1.11)', async (_, content) => {
    const { cluster, watch } = await show([ready], content);
    await expect(waitForReady(cluster, untouched, watch)).rejects.toThrow(/belongs to another snapshot/);
  });

  test.each([
    [undefined, undefined],
    ['0', undefined],
    ['0Gi', undefined],
    ['200Mi', '200Mi'],
    ['10Gi', '10Gi'],
  ])('of restoreSize %s asks for %s (R1.15)', (restoreSize, expected) => {
    expect(restoreSizeOf({ ...taken, status: { restoreSize } })).toBe(expected);
  });
});
