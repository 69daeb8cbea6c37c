import { expect, test } from 'vitest';
import { AnswerReader, type HttpAnswer } from '../../src/store/http-answer.ts';

/** Gives an answer to a reader in pieces of that size, and tells what it understood; undefined while something is missing. */
function read(text: string, pieceBytes = Number.POSITIVE_INFINITY, isEnded = false): HttpAnswer | undefined {
  const reader = new AnswerReader(Buffer.alloc(64));
  const bytes = Buffer.from(text, 'latin1');
  for (let position = 0; position < bytes.length; ) {
    const { buffer } = reader;
    expect(buffer.length).toBeGreaterThan(0);
    const count = Math.min(buffer.length, pieceBytes, bytes.length - position);
    bytes.copy(buffer, 0, position, position + count);
    reader.received(count);
    position += count;
  }
  if (isEnded) reader.ended();
  return reader.answer;
}

const withLength =
  'HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nETag: "x"\r\nx-a: 1\r\nX-A:2 \r\n\r\n0123456789';
const chunked = 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1;note=1\r\ne\r\n0\r\n\r\n';
const untilClose = 'HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\nbroken';

test.each([1, 2, 3, 7, 64])('an answer in pieces of %d bytes is understood the same', (pieceBytes) => {
  expect(read(withLength, pieceBytes)).toEqual({
    status: 206,
    headers: { 'content-length': '10', etag: '"x"', 'x-a': '1, 2' },
    body: Buffer.from('0123456789'),
    isReusable: true,
  });
  expect(read(chunked, pieceBytes)).toMatchObject({ status: 404, body: Buffer.from('abcde'), isReusable: true });
  expect(read(untilClose, pieceBytes, true)).toMatchObject({
    status: 500,
    body: Buffer.from('broken'),
    isReusable: false,
  });
});

test('an answer is not complete one byte before its end', () => {
  expect(read(withLength.slice(0, -1), 5, true)).toBeUndefined();
  expect(read(chunked.slice(0, -1), 5, true)).toBeUndefined();
  expect(read(untilClose, 5)).toBeUndefined();
  expect(read('HTTP/1.1 200 OK\r\nContent-Len', 5, true)).toBeUndefined();
});

test('answers of kind 1xx before the real one are skipped', () => {
  expect(read(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${withLength}`, 9)?.status).toBe(
    206,
  );
});

test('an empty body is an answer', () => {
  expect(read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')?.body).toEqual(Buffer.alloc(0));
  expect(read('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n')?.status).toBe(304);
  expect(read('HTTP/1.1 204 No Content\r\n\r\n')?.body).toEqual(Buffer.alloc(0));
});

test('a large body lands in memory of its own', () => {
  const body = 'x'.repeat(100_000);
  const answer = read(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${body}`, 50_000);
  expect(answer?.body.toString()).toBe(body);
  expect(answer?.body.buffer.byteLength).toBe(100_000);
});

test('a connection that the server wants closed is not used again', () => {
  expect(read('HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n')?.isReusable).toBe(false);
  expect(read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n')?.isReusable).toBe(false);
});

test.each([
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', /no HTTP/],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n', /length/],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /two lengths/],
  ['more than the length', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab', /more than/],
  ['a broken chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', /chunks/],
  ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', /encoding/],
  ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n', /header/],
  ['a head without end', `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(9000)}`, /too long/],
])('%s is refused', (_, text, reason) => {
  expect(() => read(text)).toThrow(reason);
});
