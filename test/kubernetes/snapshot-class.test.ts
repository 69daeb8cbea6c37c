import { expect, test } from 'vitest';
import { temporarySize } from '../../src/backup/plan.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { chooseSnapshotClass, SNAPSHOT_CLASS_MARK } from '../../src/cluster/snapshot-class.ts';

const driver = 'csi.example';
const claim = 'shop/data';

function snapshotClass(
  name: string,
  more: { driver?: string; isDefault?: boolean; marked?: boolean } = {},
): KubeObject {
  const annotations = more.isDefault ? { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } : {};
  const labels = more.marked ? { [SNAPSHOT_CLASS_MARK]: 'true' } : {};
  const metadata = { name, uid: name, resourceVersion: '1', creationTimestamp: '', annotations, labels };
  return { apiVersion: 'v1', kind: 'VolumeSnapshotClass', metadata, driver: more.driver ?? driver };
}

function chosen(classes: KubeObject[], question: { named?: string; annotated?: string } = {}): string {
  return chooseSnapshotClass(classes, { claim, driver, ...question })?.class.metadata.name ?? 'none';
}

test('the class is the named one, then the annotated, the marked, the default, the only one (R1.7)', () => {
  const all = [
    snapshotClass('plain'),
    snapshotClass('default', { isDefault: true }),
    snapshotClass('marked', { marked: true }),
  ];
  expect(chosen(all, { named: 'plain', annotated: 'default' })).toBe('plain');
  expect(chosen(all, { annotated: 'default' })).toBe('default');
  expect(chosen(all)).toBe('marked');
  expect(chosen(all.slice(0, 2))).toBe('default');
  expect(chosen(all.slice(0, 1))).toBe('plain');
});

test('classes of other drivers are not looked at, be they defaults or not (R1.4)', () => {
  const foreign = snapshotClass('foreign', { driver: 'other.example', isDefault: true, marked: true });
  expect(chosen([foreign, snapshotClass('own')])).toBe('own');
  expect(chosen([foreign])).toBe('none');
});

test('a named class of another driver is refused: the snapshot controller would not look (R1.5)', () => {
  const foreign = snapshotClass('foreign', { driver: 'other.example' });
  expect(() => chosen([foreign], { named: 'foreign' })).toThrow('the class foreign is for the driver other.example');
  expect(() => chosen([foreign], { named: 'nope' })).toThrow(
    'there is no VolumeSnapshotClass nope (there are: foreign)',
  );
});

test('nothing is guessed among several: two defaults, or two without any mark', () => {
  const two = (more: object) => [snapshotClass('one', more), snapshotClass('two', more)];
  for (const more of [{ isDefault: true }, { marked: true }, {}]) {
    expect(() => chosen(two(more))).toThrow(/2 snapshot classes fit .*one, two/);
  }
});

test('a temporary claim is as large as the larger of snapshot and volume (R1.15, R7.4)', () => {
  expect(temporarySize('1Gi', '1000Mi')).toBe('1Gi');
  expect(temporarySize('1G', '1Gi')).toBe('1Gi');
  expect(temporarySize(undefined, '5Gi')).toBe('5Gi');
});
