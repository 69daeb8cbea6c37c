import { expect, test } from 'vitest';
import { goJson, goJsonBytes, goJsonString, goNameJson, goUnquote } from '../../../src/repository/format/go-json.ts';

const names: readonly [string, Buffer, string][] = [
  ['bytes that are not UTF-8', Buffer.from('bad\xff\xfename', 'latin1'), '"bad\\\\xff\\\\xfename"'],
  ['what HTML would read', Buffer.from('a<b>&c.txt'), '"a\\u003cb\\u003e\\u0026c.txt"'],
  ['quotes and backslashes', Buffer.from('quote"back\\slash'), '"quote\\\\\\"back\\\\\\\\slash"'],
  ['tab and line break', Buffer.from('tab\tnl\n'), '"tab\\\\tnl\\\\n"'],
  ['control characters', Buffer.from('del\x7f\x01'), '"del\\\\x7f\\\\x01"'],
  ['a no-break space', Buffer.from('nbsp\u00a0x'), '"nbsp\\\\u00a0x"'],
  [
    'letters, separators, zero-width and emoji',
    Buffer.from('umlaut-ä-\u2028-\u200b-😀'),
    '"umlaut-ä-\\\\u2028-\\\\u200b-😀"',
  ],
  ['a private character beyond 16 bits', Buffer.from('\u{f0000}'), '"\\\\U000f0000"'],
  ['a genuine replacement character', Buffer.from('\ufffd'), '"\ufffd"'],
  ['a truncated rune at the end', Buffer.from([0x61, 0xe2, 0x82]), '"a\\\\xe2\\\\x82"'],
  ['a surrogate in UTF-8 clothes', Buffer.from([0xed, 0xa0, 0x80]), '"\\\\xed\\\\xa0\\\\x80"'],
  ['nothing special', Buffer.from("plain file (1) 'x'.txt"), '"plain file (1) \'x\'.txt"'],
];

test.each(names)('a name with %s is stored as Go quotes it, and read back to the same bytes', (_, name, json) => {
  expect(goNameJson(name)).toBe(json);
  expect(goUnquote(JSON.parse(json))).toEqual(name);
});

test('every byte sequence survives being stored as a name', () => {
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second += 3) {
      const name = Buffer.of(first, second, 0x41);
      expect(goUnquote(JSON.parse(goNameJson(name)))).toEqual(name);
    }
  }
});

test('the reader takes the escapes of Go and of rustic, octal among them', () => {
  expect(goUnquote('\\101\\x42\\u0043\\U00000044\\a')).toEqual(Buffer.from('ABCD\x07'));
  expect(goUnquote("raw\nline \\'")).toEqual(Buffer.from("raw\nline '"));
});

test.each(['\\', '\\q', '\\x4', '\\xzz', '\\u12', '\\ud800', '\\U00110000', '\\9', '\\777'])(
  'the reader refuses the broken escape %s',
  (quoted) => {
    expect(goUnquote(quoted)).toBeUndefined();
  },
);

test('strings are escaped as Go escapes them', () => {
  expect(goJsonString('a<b>&\u2028\u2029"\\\u0001\b\f\n\r\t\x7fä')).toBe(
    '"a\\u003cb\\u003e\\u0026\\u2028\\u2029\\"\\\\\\u0001\\b\\f\\n\\r\\t\x7fä"',
  );
  expect(goJsonString('\ud800x')).toBe('"\ufffdx"');
  expect(goJson({ paths: ['/a&b'] })).toBe('{"paths":["/a\\u0026b"]}');
});

test('each byte that is not UTF-8 becomes one escaped replacement character', () => {
  expect(goJsonBytes(Buffer.from('000102fafbfc', 'hex'))).toBe('"\\u0000\\u0001\\u0002\\ufffd\\ufffd\\ufffd"');
  expect(goJsonBytes(Buffer.from('ä€'))).toBe('"ä€"');
});
