/** Which container a claim is streamed out of: one that runs and has all of it. */
import { expect, test } from 'vitest';
import { findConsumerMount } from '../../src/backup/consumer-mount.ts';
import type { KubeObject } from '../../src/cluster/object.ts';

interface PodShape {
  readonly mounts?: readonly object[];
  readonly phase?: string;
  readonly metadata?: object;
  readonly state?: object;
  readonly ready?: boolean;
  readonly volume?: object;
}

function pod(name: string, shape: PodShape = {}): KubeObject {
  const { mounts = [{ mountPath: '/data' }], phase = 'Running', state = { running: {} }, ready = false } = shape;
  const volume = shape.volume ?? { persistentVolumeClaim: { claimName: 'files' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1', creationTimestamp: '', ...shape.metadata },
    spec: {
      nodeName: 'node-b',
      containers: [
        { name: 'proxy' },
        { name: 'main', volumeMounts: mounts.map((mount) => ({ name: 'files', ...mount })) },
      ],
      volumes: [{ name: 'files', ...volume }],
    },
    status: {
      phase,
      containerStatuses: [{ name: 'main', state }],
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

test('the first ready pod that has all of the volume is taken', () => {
  const found = { pod: 'web', container: 'main', folder: '/data', node: 'node-b' };
  expect(findConsumerMount([pod('web')], 'files')).toEqual(found);
  expect(findConsumerMount([pod('slow'), pod('web', { ready: true })], 'files')).toEqual(found);
  const two = pod('web', { mounts: [{ mountPath: '/part', subPath: 'x' }, { mountPath: '/data' }] });
  expect(findConsumerMount([two], 'files')).toEqual(found);
  const ephemeral = pod('web', { volume: { ephemeral: { volumeClaimTemplate: {} } } });
  expect(findConsumerMount([ephemeral], 'web-files')).toEqual(found);
});

test('where none has, the reason is told', () => {
  const table: readonly (readonly [pods: readonly KubeObject[], reason: string])[] = [
    [[], 'no pod that uses it is running'],
    [[pod('web', { phase: 'Pending' })], 'no pod that uses it is running'],
    [[pod('web', { metadata: { deletionTimestamp: 'now' } })], 'no pod that uses it is running'],
    [[pod('web', { mounts: [] })], 'no container has it mounted'],
    [
      [pod('web', { mounts: [{ mountPath: '/x', subPath: 'a' }] }), pod('api', { state: { waiting: {} } })],
      'container main of pod web has only a folder of it (subPath); container main of pod api is not running',
    ],
    [
      [pod('web', { mounts: [{ mountPath: '/x', subPathExpr: '$(POD)' }] })],
      'container main of pod web has only a folder of it (subPath)',
    ],
  ];
  for (const [pods, reason] of table) expect(findConsumerMount(pods, 'files')).toBe(reason);
});
