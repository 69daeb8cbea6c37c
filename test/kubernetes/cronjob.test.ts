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
  const all = renderCronJob({
    ...found,
    image: 'registry/holdfast:1',
    imagePullSecrets: ['pull'],
    ownNamespace: 'backups',
  });
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
    'backup --policy /etc/holdfast/policy/policy.yaml --mover-image registry/holdfast:1 ' +
      '--mover-service-account holdfast-nightly-mover --image-pull-secret pull',
  );
  // Credentials are files, not variables.
  expect(container).not.toHaveProperty('envFrom');
  expect(listAt(pod, 'volumes')).toContainEqual(
    expect.objectContaining({ secret: expect.objectContaining({ secretName: 'holdfast' }) }),
  );
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
  const isWrite = (verb: unknown) => !['get', 'list', 'watch'].includes(String(verb));
  expect(wide.map((rule) => [listAt(rule, 'resources')[0], listAt(rule, 'verbs').filter(isWrite)])).toEqual([
    ['persistentvolumes', ['patch']],
    ['volumesnapshotcontents', ['patch', 'delete']],
    ['volumegroupsnapshotcontents', ['patch']],
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

test('where movers have a namespace of their own, all but the rights on claims and snapshots is there', () => {
  const own = text.replace('  repository:', '  mover: {namespace: own}\n  repository:');
  const objects = parseAllDocuments(render(own).all).map((document) => document.toJS() as unknown);
  const spaces = objects.map((object) => [textAt(object, 'kind'), textAt(object, 'metadata', 'namespace')].join(' '));
  expect(spaces.filter((one) => one.endsWith(' shop'))).toEqual(['Role shop', 'RoleBinding shop']);
  expect(spaces.filter((one) => one.endsWith(' backups'))).toHaveLength(6);
  const role = objects.find((one) => textAt(one, 'kind') === 'Role' && textAt(one, 'metadata', 'namespace') === 'shop');
  const written = listAt(role, 'rules').filter((rule) => listAt(rule, 'verbs').includes('create'));
  expect(written.flatMap((rule) => listAt(rule, 'resources'))).toEqual(['volumesnapshots', 'volumegroupsnapshots']);
  const names = objects.map((object) => textAt(object, 'metadata', 'name') ?? '');
  expect(
    Math.max(...objects.map((one, at) => (textAt(one, 'kind') === 'CronJob' ? names[at]!.length : 0))),
  ).toBeLessThan(53);
  // Another policy of that name, of another namespace, is another object there.
  const other = parseAllDocuments(render(own.replaceAll('namespace: shop', 'namespace: mall')).all);
  expect(textAt(other[0]?.toJS(), 'metadata', 'name')).not.toBe(names[0]);
  // Copies of volumes in use need pods beside the claims after all.
  const both = render(own.replace('own}', 'own, claimSecretName: s}')).all;
  expect(both.match(/name: holdfast-nightly-[0-9a-f]{6}-mover/g)).toHaveLength(2);
});
