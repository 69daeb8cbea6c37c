import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { renderCronJob } from '../../src/backup/cronjob.ts';
import { listAt, textAt, valueAt } from '../../src/cluster/object.ts';
import { findPolicy, parsePolicyFile } from '../../src/policy/policy-file.ts';

const text = `apiVersion: holdfast.dev/v1alpha1
kind: Repository
metadata: {name: main, namespace: shop}
spec: {url: "s3:https://s3.example/b", secretName: holdfast}
---
apiVersion: holdfast.dev/v1alpha1
kind: BackupPolicy
metadata: {name: nightly, namespace: shop}
spec:
  schedule: {cron: "0 2 * * *", timeZone: Europe/Berlin}
  select: {claims: {matchLabels: {tier: "true"}}}
  repository: {name: main}
  retention: {keepLast: 3}
`;

function render(policyText = text): { all: string; byKind: Map<string, unknown> } {
  const found = findPolicy(parsePolicyFile(policyText, 'p'), undefined, 'p');
  const all = renderCronJob({ ...found, image: 'registry/holdfast:1', imagePullSecrets: ['pull'] });
  const objects = parseAllDocuments(all).map((document) => document.toJS() as unknown);
  return { all, byKind: new Map(objects.map((object) => [textAt(object, 'kind') ?? '', object])) };
}

test('the policy in the ConfigMap is the one that was rendered', () => {
  const inside = textAt(render().byKind.get('ConfigMap'), 'data', 'policy.yaml') ?? '';
  expect(parsePolicyFile(inside, 'p')).toEqual(parsePolicyFile(text, 'p'));
});

test('the CronJob runs the policy on its schedule, in its zone, one run at a time', () => {
  const cronJob = render().byKind.get('CronJob');
  expect(valueAt(cronJob, 'spec')).toMatchObject({
    schedule: '0 2 * * *',
    timeZone: 'Europe/Berlin',
    suspend: false,
    concurrencyPolicy: 'Forbid',
  });
  const pod = valueAt(cronJob, 'spec', 'jobTemplate', 'spec', 'template', 'spec');
  const [container] = listAt(pod, 'containers');
  expect(listAt(container, 'args').join(' ')).toBe(
    'backup --policy /etc/holdfast/policy.yaml --mover-image registry/holdfast:1 --image-pull-secret pull',
  );
  expect(valueAt(container, 'envFrom')).toEqual([{ secretRef: { name: 'holdfast' } }]);
  expect(pod).toMatchObject({ serviceAccountName: 'holdfast-nightly', securityContext: { runAsNonRoot: true } });
});

test('its account may write only in its own namespace, and nothing cluster-wide but policies of reclaim', () => {
  const { byKind } = render();
  for (const kind of ['Role', 'ClusterRole']) {
    for (const rule of listAt(byKind.get(kind), 'rules')) {
      expect(listAt(rule, 'verbs')).not.toContain('*');
      expect(listAt(rule, 'resources')).not.toContain('secrets');
    }
  }
  const wide = listAt(byKind.get('ClusterRole'), 'rules').filter((rule) =>
    listAt(rule, 'verbs').some((verb) => !['get', 'list', 'watch'].includes(String(verb))),
  );
  expect(wide.map((rule) => [listAt(rule, 'resources'), listAt(rule, 'verbs').at(-1)])).toEqual([
    [['persistentvolumes'], 'patch'],
    [['volumesnapshotcontents'], 'patch'],
  ]);
  for (const kind of ['RoleBinding', 'ClusterRoleBinding']) {
    expect(valueAt(byKind.get(kind), 'subjects')).toEqual([
      { kind: 'ServiceAccount', name: 'holdfast-nightly', namespace: 'shop' },
    ]);
  }
});

test('a policy without schedule, or with a name too long for its Jobs, is refused', () => {
  expect(() => render(text.replace(/ {2}schedule.*\n/, ''))).toThrow('no spec.schedule');
  expect(() => render(text.replace('nightly', 'n'.repeat(44)))).toThrow('metadata.name');
});
