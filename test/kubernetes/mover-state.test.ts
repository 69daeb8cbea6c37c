import { expect, test } from 'vitest';
import { lookAtPod } from '../../src/cluster/mover-state.ts';
import type { KubeObject } from '../../src/cluster/object.ts';

const nowMs = Date.parse('2026-11-22T12:00:00Z');

function pod(status: object, metadata: object = {}): KubeObject {
  const meta = {
    name: 'mover-1',
    namespace: 'shop',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
    ...metadata,
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata: meta, spec: { nodeName: 'node-b' }, status };
}

function container(state: object): object {
  return { phase: 'Pending', containerStatuses: [{ name: 'mover', state }] };
}

test('a pod that is not there, not placed or not started is waited for, with the reason in words', () => {
  expect(lookAtPod(undefined, nowMs)).toMatchObject({ phase: 'waiting', words: 'no pod yet' });
  const message = "0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity.";
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
  expect(lookAtPod(pod({ phase: 'Pending', conditions: [condition] }), nowMs)).toMatchObject({
    phase: 'waiting',
    words: `waits for a node: ${message}`,
  });
  const pulling = { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "x"' } };
  const state = lookAtPod(pod(container(pulling)), nowMs);
  expect(state).toMatchObject({ phase: 'waiting', words: 'ImagePullBackOff: Back-off pulling image "x"' });
  expect(state.problem).toBeUndefined();
});

test('what nobody but a change of the pod mends is a problem, and said in the words of the kubelet', () => {
  const waiting = { reason: 'InvalidImageName', message: 'couldn\'t parse image name "A B"' };
  expect(lookAtPod(pod(container({ waiting })), nowMs).problem).toContain('image name "A B"');
});

test('a container that ended hands over its message; what killed it is said in words', () => {
  const ended = (terminated: object) => lookAtPod(pod(container({ terminated })), nowMs);
  expect(ended({ exitCode: 0, reason: 'Completed', message: '{"x":1}' })).toMatchObject({
    phase: 'ended',
    message: '{"x":1}',
    node: 'node-b',
  });
  expect(ended({ exitCode: 137, reason: 'OOMKilled' }).words).toContain('more memory than its limit');
  expect(ended({ exitCode: 137, reason: 'Error' }).words).toContain('signal 9');
  expect(ended({ exitCode: 2, reason: 'Error' })).toMatchObject({ words: 'Error, exit code 2', message: '' });
});

test('a pod that was evicted has ended, with the reason of the kubelet', () => {
  const evicted = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' };
  expect(lookAtPod(pod(evicted), nowMs)).toMatchObject({
    phase: 'ended',
    words: 'its pod ended: Evicted: The node was low on resource: memory.',
  });
});

test('a deleted pod may take its time to stop, but one whose node is gone is given up', () => {
  const running = container({ running: { startedAt: '' } });
  const deletedAgo = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();
  expect(lookAtPod(pod(running, { deletionTimestamp: deletedAgo(20) }), nowMs)).toMatchObject({ phase: 'running' });
  const lost = lookAtPod(pod(running, { deletionTimestamp: deletedAgo(90) }), nowMs);
  expect(lost.problem).toContain('node-b');
});
