import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { findPolicy, parsePolicyFile } from '../../src/policy/policy-file.ts';
import { floorOf, retentionOf } from '../../src/policy/rules.ts';

const repository = `apiVersion: holdfast.dev/v1alpha1
kind: Repository
metadata: {name: main, namespace: shop}
spec: {url: "s3:https://s3.example/backups/shop", secretName: holdfast}
`;
const policy = `apiVersion: holdfast.dev/v1alpha1
kind: BackupPolicy
metadata: {name: nightly, namespace: shop}
spec:
  schedule: {cron: "0 2 * * *", timeZone: Europe/Berlin}
  select: {claims: {matchLabels: {tier: data}}}
  repository: {name: main}
  retention: {keepLast: 3, keepDaily: 7, keepWithin: 2d, minimumAge: 12h}
  snapshots: {class: fast}
`;

/** What a file is refused with. */
function problemOf(text: string): string {
  try {
    parsePolicyFile(text, 'policy.yaml');
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'POLICY_INVALID') return error.message;
    throw error;
  }
  return 'accepted';
}

test('a policy comes with the repository that it names', () => {
  const { policies } = parsePolicyFile(`${repository}---\n${policy}`, 'policy.yaml');
  expect(policies).toHaveLength(1);
  expect(policies[0]?.policy.spec.select.claims.matchLabels).toEqual({ tier: 'data' });
  expect(policies[0]?.repository.spec).toEqual({ url: 's3:https://s3.example/backups/shop', secretName: 'holdfast' });
});

test('a key that is not known is refused with its line, at any depth', () => {
  const text = `${repository}---\n${policy}`;
  expect(problemOf(text.replace('keepDaily', 'keepDayly'))).toMatch(
    /^policy\.yaml:13:28: spec\.retention\.keepDayly is not a field that is known \(did you mean keepDaily\?\)\.$/,
  );
  expect(problemOf(text.replace('  snapshots:', '  snapshotz:'))).toMatch(/^policy\.yaml:14:3: spec\.snapshotz is not/);
  expect(problemOf(text.replace('secretName: holdfast}', 'secretName: holdfast, x: 1}'))).toMatch(
    /^policy\.yaml:4:73: spec\.x is not a field that is known\.$/,
  );
});

test('a wrong value is refused with its line, its key and what it should be', () => {
  const text = `${repository}---\n${policy}`;
  expect(problemOf(text.replace('0 2 * * *', '0 2 * *'))).toMatch(/:10:20: spec\.schedule\.cron: .*five fields/);
  expect(problemOf(text.replace('Europe/Berlin', 'Europe/Atlantis'))).toMatch(/:10:43: spec\.schedule\.timeZone: /);
  expect(problemOf(text.replace('2d', 'two days'))).toMatch(/:13:54: spec\.retention\.keepWithin: .*span of time/);
  expect(problemOf(text.replace('keepLast: 3', 'keepLast: three'))).toMatch(/:13:25: spec\.retention\.keepLast: /);
  expect(problemOf(text.replace('s3:https://s3.example/backups/shop', '/srv/backups'))).toMatch(
    /:4:13: spec\.url: .*object storage/,
  );
  expect(problemOf(text.replace('kind: BackupPolicy', 'kind: Policy'))).toMatch(/:7:7: kind has to be/);
});

test('rules that would keep nothing, a repository that is not there and broken YAML are refused', () => {
  const rules = 'keepLast: 3, keepDaily: 7, keepWithin: 2d, minimumAge: 12h';
  expect(problemOf(`${repository}---\n${policy.replace(rules, 'minimumAge: 12h')}`)).toContain('no keep… rule');
  expect(problemOf(policy)).toMatch(/^policy\.yaml:7:15: spec\.repository\.name: there is no Repository shop\/main/);
  expect(problemOf(`${repository.replace('namespace: shop', 'namespace: other')}---\n${policy}`)).toContain(
    'no Repository',
  );
  expect(problemOf('a: [b')).toMatch(/^policy\.yaml:1:\d+: /);
  expect(problemOf(`${repository}---\n${policy}  select: {}\n`)).toMatch(/unique/);
  expect(problemOf('')).toContain('no BackupPolicy');
});

test('the only policy needs no name, one of several is found by it, with or without namespace', () => {
  const two = `${repository}---\n${policy}---\n${policy.replace('nightly', 'hourly')}`;
  const file = parsePolicyFile(two, 'p.yaml');
  expect(findPolicy(file, 'hourly', 'p.yaml').policy.metadata.name).toBe('hourly');
  expect(findPolicy(file, 'shop/nightly', 'p.yaml').policy.metadata.name).toBe('nightly');
  expect(() => findPolicy(file, undefined, 'p.yaml')).toThrow('shop/nightly, shop/hourly');
  expect(() => findPolicy(file, 'weekly', 'p.yaml')).toThrow('weekly is not one of');
  expect(findPolicy(parsePolicyFile(`${repository}---\n${policy}`, 'p'), undefined, 'p').policy.metadata.name).toBe(
    'nightly',
  );
});

test('the rules of a policy are those of restic, and its floor is apart', () => {
  const rules = { keepLast: 3, keepYearly: -1, keepWithin: '1y2d', minimumAge: '36h', minimumCount: 2 };
  expect(retentionOf(rules)).toEqual({ last: 3, yearly: -1, within: { years: 1, months: 0, days: 2, hours: 0 } });
  expect(floorOf(rules)).toEqual({ minimumAgeMs: 36 * 3_600_000, minimumCount: 2 });
});
