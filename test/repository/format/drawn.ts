/** Inputs for properties of the format: ids, names of any bytes, times, entries, and everything made of them. */
import fc from 'fast-check';
import type { PackEntry } from '../../../src/repository/format/pack.ts';
import type { Snapshot } from '../../../src/repository/format/snapshot.ts';
import type { NodeType, TreeNode } from '../../../src/repository/format/tree.ts';

const oddities = [
  '"',
  '\\',
  '<',
  '>',
  '&',
  '\n',
  '\t',
  '\u007f',
  '\u0000',
  '\u2028',
  '\u00a0',
  '\ufffd',
  '\u{1f600}',
  '\ue000',
  'ä',
  '/',
  "'",
  '\\x41',
];
const textParts = fc.oneof(
  fc.constantFrom(...oddities),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

export const text = fc.array(textParts, { maxLength: 6 }).map((parts) => parts.join(''));

/** UTF-8 with odd characters, broken in places. */
export const bytes: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      text.map((part) => Buffer.from(part)),
      fc.uint8Array({ maxLength: 6 }).map((part) => Buffer.from(part)),
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => Buffer.concat(parts));

export const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((part) => Buffer.from(part).toString('hex'));
/** Years 0 to 9999, as restic writes them. */
export const timeNs = fc.bigInt({ min: -62_167_219_200_000_000_000n, max: 253_402_300_799_999_999_999n });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const whole = fc.maxSafeNat();
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

export const packEntry: fc.Arbitrary<PackEntry> = fc.record({
  type: fc.constantFrom('data', 'tree'),
  id,
  length: u32,
  uncompressedLength: u32,
});

const common = {
  name: bytes,
  mode: fc.integer({ min: 0, max: 0xffff_ffff }),
  mtimeNs: timeNs,
  atimeNs: timeNs,
  ctimeNs: timeNs,
  uid: u32,
  gid: u32,
  user: text,
  group: text,
  inode: u64,
  deviceId: u64,
  sizeBytes: whole,
  links: u32,
  extendedAttributes: fc.array(fc.record({ name: text, value: bytes }), { maxLength: 3 }),
  device: whole,
};
const ofType = (type: NodeType) => ({ ...common, type: fc.constant(type) });

export const node: fc.Arbitrary<TreeNode> = fc.oneof(
  fc.record({ ...ofType('file'), content: fc.array(id, { maxLength: 4 }) }),
  fc.record({ ...ofType('dir'), content: fc.constant(null), subtree: id }),
  fc.record({
    ...ofType('symlink'),
    content: fc.constant(null),
    linkTarget: bytes.filter((target) => target.length > 0),
  }),
  fc.record({ ...ofType('chardev'), content: fc.constant(null) }),
);

/** Fields that are left out where they are empty are never empty here. */
const filled = text.filter((value) => value !== '');
const texts = fc.array(text, { minLength: 1, maxLength: 3 });
export const snapshot: fc.Arbitrary<Snapshot> = fc.record(
  {
    time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString()),
    tree: id,
    paths: texts,
    parent: id,
    hostname: filled,
    username: filled,
    uid: fc.integer({ min: 1, max: 0xffff_ffff }),
    gid: fc.integer({ min: 1, max: 0xffff_ffff }),
    excludes: texts,
    tags: texts,
    original: id,
    program_version: filled,
    delete: fc.constantFrom('NotSet', 'Never', { After: '2026-11-22T00:00:00Z' }),
    other: fc.constantFrom({ label: 'x' }, { nested: { a: [1, null, '<'] }, '<field>': true }),
  },
  { requiredKeys: ['time', 'tree', 'paths'] },
) as fc.Arbitrary<Snapshot>;
