/** What is written reads back as it was, whatever it is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { goJson, goJsonString, goNameJson, goQuote, goUnquote } from '../../../src/repository/format/go-json.ts';
import { decodeIndex, encodeIndex } from '../../../src/repository/format/index-file.ts';
import {
  decodeKeyFile,
  decodeKeyMaterial,
  encodeKeyFile,
  encodeKeyMaterial,
} from '../../../src/repository/format/key.ts';
import { decodeLock, encodeLock } from '../../../src/repository/format/lock.ts';
import { decodePackHeader, encodePackHeader, packEntryBytes } from '../../../src/repository/format/pack.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../src/repository/format/snapshot.ts';
import { formatTime, parseTime, parseTimeOffset } from '../../../src/repository/format/time.ts';
import { decodeTree, encodeNode, encodeTree } from '../../../src/repository/format/tree.ts';
import { holds } from '../../setup/properties.ts';
import { bytes, id, node, packEntry, snapshot, text, timeNs } from './drawn.ts';

const noId = '00'.repeat(32);

test('names of any bytes', () => {
  holds(
    fc.property(bytes, (name) => {
      expect(goUnquote(goQuote(name))).toEqual(name);
      expect(goUnquote(JSON.parse(goNameJson(name)))).toEqual(name);
      expect(goNameJson(name)).not.toMatch(/[<>&\u2028\u2029\n]/);
    }),
  );
});

test('text in JSON, with the characters of which Go is wary escaped', () => {
  holds(
    fc.property(text, fc.json(), (one, json) => {
      expect(JSON.parse(goJsonString(one))).toBe(one.toWellFormed());
      expect(JSON.parse(goJson(JSON.parse(json)))).toEqual(JSON.parse(json));
      expect(goJson(JSON.parse(json))).not.toMatch(/[<>&\u2028\u2029]/);
    }),
  );
});

test('times, to the nanosecond', () => {
  holds(
    fc.property(timeNs, fc.integer({ min: -14 * 60, max: 14 * 60 }), (ns, minutes) => {
      const written = formatTime(ns);
      expect(written).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/);
      expect(parseTime(written)).toBe(ns);
      const away = Math.abs(minutes);
      const offset = `${minutes < 0 ? '-' : '+'}${[Math.floor(away / 60), away % 60].map((part) => String(part).padStart(2, '0')).join(':')}`;
      const elsewhere = written.replace('Z', offset);
      expect(parseTime(elsewhere)).toBe(ns - BigInt(minutes) * 60_000_000_000n);
      expect(Math.abs(parseTimeOffset(elsewhere) ?? Number.NaN)).toBe(away * 60);
    }),
  );
});

test('headers of packs, whose size is known beforehand', () => {
  holds(
    fc.property(fc.array(packEntry, { maxLength: 20 }), (entries) => {
      const header = encodePackHeader(entries);
      expect(header.length).toBe(entries.reduce((sum, entry) => sum + packEntryBytes(entry), 0));
      expect(decodePackHeader(header, noId)).toEqual(entries);
    }),
  );
});

test('indexes, blobs in the order of their offsets', () => {
  const blob = fc.record({
    type: fc.constantFrom('data' as const, 'tree' as const),
    id,
    offset: fc.nat(),
    length: fc.nat(),
    uncompressedLength: fc.nat(),
  });
  const blobs = fc.uniqueArray(blob, { selector: ({ offset }) => offset, maxLength: 6 });
  const packs = fc.array(fc.record({ id, blobs }), { maxLength: 4 });
  holds(
    fc.property(packs, (written) => {
      const sorted = written.map((pack) => ({ ...pack, blobs: pack.blobs.toSorted((a, b) => a.offset - b.offset) }));
      expect(decodeIndex(encodeIndex(written))).toEqual(sorted);
    }),
    100,
  );
});

test('trees, byte by byte once they were written', () => {
  holds(
    fc.property(fc.array(node, { maxLength: 5 }), (nodes) => {
      // Attribute names are text in the format.
      const wellFormed = nodes.map((one) => ({
        ...one,
        user: one.user.toWellFormed(),
        group: one.group.toWellFormed(),
        extendedAttributes: one.extendedAttributes.map((attribute) => ({
          ...attribute,
          name: attribute.name.toWellFormed(),
        })),
      }));
      const written = encodeTree(wellFormed);
      const read = decodeTree(written);
      expect(read).toEqual(wellFormed);
      expect(encodeTree(read)).toEqual(written);
      expect(`{"nodes":[${read.map(encodeNode).join(',')}]}\n`).toBe(written.toString());
    }),
    200,
  );
});

test('snapshots, with the fields of other programs', () => {
  holds(
    fc.property(snapshot, (written) => {
      const read = decodeSnapshot(encodeSnapshot(written), noId);
      expect(JSON.parse(goJson(read))).toEqual(JSON.parse(goJson({ ...written, id: noId })));
    }),
  );
});

test('locks and keys', () => {
  const who = { hostname: text, username: text };
  const owner = { uid: fc.integer({ min: 1, max: 0xffff_ffff }), gid: fc.integer({ min: 1, max: 0xffff_ffff }) };
  const lock = fc.record({ time: timeNs.map(formatTime), exclusive: fc.boolean(), ...who, pid: fc.nat(), ...owner });
  const secret = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((part) => Buffer.from([1, ...part.subarray(1)]));
  const cost = fc.integer({ min: 1, max: 2 ** 30 });
  const key = fc.record({ created: text, ...who, N: cost, r: cost, p: cost, salt: secret(64), data: bytes });
  const material = fc.record({ encrypt: secret(32), macK: secret(16), macR: secret(16) });
  holds(
    fc.property(lock, key, material, (oneLock, oneKey, secrets) => {
      expect(decodeLock(encodeLock(oneLock), noId)).toEqual(oneLock);
      expect(decodeKeyFile(encodeKeyFile(oneKey), noId)).toEqual(oneKey);
      expect(decodeKeyMaterial(encodeKeyMaterial(secrets), noId)).toEqual(secrets);
    }),
    100,
  );
});
