import { expect, test } from 'vitest';
import { newRunId, workName } from '../../src/cluster/labels.ts';
import { type MoverPod, moverJob } from '../../src/cluster/mover-pod.ts';
import { listAt, textAt, valueAt } from '../../src/cluster/object.ts';

const pod: MoverPod = {
  kind: 'backup',
  namespace: 'shop',
  name: 'holdfast-data-1',
  labels: { run: '1' },
  worksFor: 'shop/data',
  claimName: 'holdfast-data-1',
  volumeMode: 'Filesystem',
  settings: { image: 'registry/holdfast:1', imagePullSecrets: ['pull'] },
  repository: { url: 's3:x', secretName: 'holdfast' },
  nodeSelector: { nodeSelectorTerms: [] },
  tolerations: [{ operator: 'Exists' }],
  activeDeadlineSeconds: 60,
  alive: 'now',
};

function specOf(more: Partial<MoverPod> = {}): unknown {
  return valueAt(moverJob({ ...pod, ...more }), 'spec', 'template', 'spec');
}

function containerOf(more: Partial<MoverPod> = {}): unknown {
  return listAt(specOf(more), 'containers')[0];
}

/** What the Pod Security level "baseline" lets a container add (R10.2). */
const baseline = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];

test('a mover has no account in the cluster, no fsGroup, and stays within Pod Security baseline', () => {
  expect(specOf()).toMatchObject({ automountServiceAccountToken: false, restartPolicy: 'Never' });
  expect(valueAt(specOf(), 'securityContext', 'fsGroup')).toBeUndefined();
  for (const kind of ['backup', 'restore'] as const) {
    const context = valueAt(containerOf({ kind }), 'securityContext');
    expect(context).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
    expect(valueAt(context, 'capabilities', 'drop')).toEqual(['ALL']);
    for (const capability of listAt(context, 'capabilities', 'add')) expect(baseline).toContain(capability);
  }
});

test('a backup sees its volume read-only, a restore may write', () => {
  const mountOf = (kind: 'backup' | 'restore') =>
    listAt(containerOf({ kind }), 'volumeMounts').find((mount) => textAt(mount, 'name') === 'volume');
  expect(mountOf('backup')).toMatchObject({ mountPath: '/volume', readOnly: true });
  expect(mountOf('restore')).toMatchObject({ mountPath: '/volume', readOnly: false });
});

test('the Job is suspended until all that it owns is there, is never repeated, and ends by its deadline', () => {
  expect(moverJob(pod).spec).toMatchObject({ suspend: true, backoffLimit: 0, activeDeadlineSeconds: 60 });
});

test('credentials are files of the named Secret, or of the one that was sent, and never variables', () => {
  const from = (repository: MoverPod['repository']) =>
    listAt(specOf({ repository }), 'volumes').find((volume) => textAt(volume, 'name') === 'credentials');
  expect(from({ url: 's3:x', secretName: 'holdfast' })).toMatchObject({ secret: { secretName: 'holdfast' } });
  expect(from({ url: 's3:x', credentials: { A: 'b' } })).toMatchObject({ secret: { secretName: pod.name } });
  const all = JSON.stringify(moverJob({ ...pod, repository: { url: 's3:x', credentials: { A: 'geheim' } } }));
  expect(all).not.toContain('geheim');
  expect(all).not.toMatch(/envFrom|secretKeyRef/);
});

test('below restricted a mover is no root, has no capability, and belongs to the groups of the files', () => {
  const user = { uid: 1000, gid: 1001, groups: [2000] };
  const restricted = { settings: { image: 'i', security: 'restricted' as const }, user };
  expect(valueAt(specOf(restricted), 'securityContext')).toEqual({
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1001,
    supplementalGroups: [2000],
    seccompProfile: { type: 'RuntimeDefault' },
  });
  expect(valueAt(containerOf(restricted), 'securityContext', 'capabilities')).toEqual({ drop: ['ALL'] });
  const privileged = { settings: { image: 'i', security: 'privileged' as const } };
  expect(valueAt(containerOf(privileged), 'securityContext', 'capabilities', 'add')).toEqual(['DAC_READ_SEARCH']);
});

test('without a limit for all of the data a Job has no deadline, and its account is the one that was named', () => {
  const { activeDeadlineSeconds, ...endless } = pod;
  expect(activeDeadlineSeconds).toBe(60);
  expect(moverJob(endless).spec).not.toHaveProperty('activeDeadlineSeconds');
  const settings = { image: 'i', serviceAccountName: 'mover' };
  expect(specOf({ settings })).toMatchObject({ serviceAccountName: 'mover', automountServiceAccountToken: false });
});

test('the pod goes where the volume can be reached, past the taints that its users tolerate', () => {
  expect(specOf()).toMatchObject({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } },
    tolerations: [{ operator: 'Exists' }],
    imagePullSecrets: [{ name: 'pull' }],
  });
  expect(valueAt(specOf(), 'nodeName')).toBeUndefined();
});

test('names are the same for the same run and claim, differ for others, and leave room for those of pods', () => {
  const identity = { role: 'backup', run: newRunId(0, () => 'ab12'), claimUid: 'u1' } as const;
  const name = workName(identity, 'data');
  expect(identity.run).toBe('19700101-000000-ab12');
  expect(workName(identity, 'data')).toBe(name);
  expect(workName({ ...identity, claimUid: 'u2' }, 'data')).not.toBe(name);
  expect(workName({ ...identity, run: 'x' }, 'data')).not.toBe(name);
  for (const claim of ['a'.repeat(253), 'data.with.dots-', `${'x'.repeat(27)}-y`]) {
    expect(workName(identity, claim)).toMatch(/^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])$/);
  }
});
