import { expect, test } from 'vitest';
import { BACKUP_MARK, coverageOf } from '../../src/policy/coverage.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { type ClaimSelector, type SelectableClaim, whyNotSelected } from '../../src/policy/selector.ts';

const data: SelectableClaim = {
  name: 'data-0',
  labels: { tier: 'data', app: 'shop' },
  annotations: {},
  storageClass: 'fast',
  accessModes: ['ReadWriteOnce'],
  volumeMode: 'Filesystem',
  sizeBytes: 10 * 2 ** 30,
};

/** Each condition, once as it holds for the claim and once as it does not, with the words that say why. */
const conditions: readonly (readonly [holds: ClaimSelector, fails: ClaimSelector, why: string])[] = [
  [{ names: ['data-*'] }, { names: ['data', 'logs-*'] }, 'its name is none of data, logs-*'],
  [{ exceptNames: ['tmp-*'] }, { exceptNames: ['data-0'] }, 'its name is excepted by data-0'],
  [{ matchLabels: { tier: 'data' } }, { matchLabels: { tier: 'cache' } }, 'its label tier is data, not cache'],
  [{ matchLabels: {} }, { matchLabels: { owner: 'me' } }, 'its label owner is not there, not me'],
  [
    { matchExpressions: [{ key: 'tier', operator: 'In', values: ['data', 'logs'] }] },
    { matchExpressions: [{ key: 'tier', operator: 'In', values: ['logs'] }] },
    'its label tier is data, wanted is In logs',
  ],
  [
    { matchExpressions: [{ key: 'owner', operator: 'NotIn', values: ['me'] }] },
    { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['data'] }] },
    'its label tier is data, wanted is NotIn data',
  ],
  [
    { matchExpressions: [{ key: 'tier', operator: 'Exists' }] },
    { matchExpressions: [{ key: 'owner', operator: 'Exists' }] },
    'its label owner is not there, wanted is Exists',
  ],
  [
    { matchExpressions: [{ key: 'owner', operator: 'DoesNotExist' }] },
    { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] },
    'its label tier is data, wanted is DoesNotExist',
  ],
  [{ storageClasses: ['fast', 'slow'] }, { storageClasses: ['slow'] }, 'its storage class is fast, not slow'],
  [
    { accessModes: ['ReadWriteOnce'] },
    { accessModes: ['ReadWriteMany', 'ReadOnlyMany'] },
    'its access mode is ReadWriteOnce, not ReadWriteMany or ReadOnlyMany',
  ],
  [{ volumeModes: ['Filesystem'] }, { volumeModes: ['Block'] }, 'its volume mode is Filesystem, not Block'],
  [{ minSize: '10Gi' }, { minSize: '11Gi' }, 'its size 10.0 GiB is below minSize 11Gi'],
  [{ maxSize: '10Gi' }, { maxSize: '9.5Gi' }, 'its size 10.0 GiB is above maxSize 9.5Gi'],
];

test('every condition lets the claims through that it speaks of, and says why not the others', () => {
  for (const [holds, fails, why] of conditions) {
    expect(whyNotSelected(holds, data)).toBeUndefined();
    expect(whyNotSelected(fails, data)).toBe(why);
  }
  const all = Object.assign({}, ...conditions.map(([holds]) => holds));
  expect(whyNotSelected(all, data)).toBeUndefined();
  expect(whyNotSelected({}, data)).toBeUndefined();
});

test('a dot in a pattern of names is a dot', () => {
  expect(whyNotSelected({ names: ['data.0'] }, data)).toBeDefined();
  expect(whyNotSelected({ names: ['*0'] }, data)).toBeUndefined();
});

function policyWith(spec: string) {
  const header = 'apiVersion: holdfast.dev/v1alpha1\n';
  const meta = 'metadata: {name: main, namespace: shop}\n';
  const repository = `${header}kind: Repository\n${meta}spec: {url: "s3:https://h/b", secretName: s}\n`;
  const policy = `${header}kind: BackupPolicy\n${meta}spec: {repository: {name: main}, ${spec}}\n`;
  return parsePolicyFile(`${repository}---\n${policy}`, 'p')!.policies[0]!.policy;
}

test('claims opt out of every policy, and into those that ask for it', () => {
  const open = policyWith('select: {claims: {}}');
  const closed = policyWith('select: {claims: {}, annotations: OptIn}');
  const marked = (mark: string) => ({ ...data, annotations: { [BACKUP_MARK]: mark } });
  expect(coverageOf(open, data)).toMatchObject({ kind: 'covered', method: 'auto' });
  expect(coverageOf(open, marked('true'))).toMatchObject({ kind: 'covered' });
  expect(coverageOf(open, marked('false'))).toMatchObject({ kind: 'opted-out' });
  expect(coverageOf(closed, data)).toMatchObject({ kind: 'uncovered' });
  expect(coverageOf(closed, marked('true'))).toMatchObject({ kind: 'covered' });
  // Neither a yes nor a no: whoever wrote it has to say.
  expect(coverageOf(open, marked('no'))).toEqual({
    kind: 'unclear',
    reason: 'its annotation holdfast.dev/backup is "no", expected is "true" or "false"',
  });
});

test('the first rule that speaks of a claim says how it is backed up, and spec.method of all others', () => {
  const rules = [
    '{claims: {storageClasses: [nfs]}, method: FileCopy}',
    '{claims: {names: ["data-*"]}, method: SnapshotMove}',
    '{claims: {}, method: FileCopy}',
  ];
  const policy = policyWith(`select: {claims: {}}, methods: [${rules.join(', ')}]`);
  expect(coverageOf(policy, data)).toMatchObject({ method: 'SnapshotMove', reason: 'rule 2 of spec.methods' });
  expect(coverageOf(policy, { ...data, storageClass: 'nfs' })).toMatchObject({ method: 'FileCopy' });
  const plain = policyWith(`select: {claims: {}}, method: FileCopy, methods: [${rules[0]}]`);
  expect(coverageOf(plain, data)).toMatchObject({ method: 'FileCopy', reason: 'spec.method' });
});
