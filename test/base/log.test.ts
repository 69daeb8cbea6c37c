import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { jsonLog, textLog, withFields } from '../../src/base/log.ts';

function memoryStream() {
  const lines: string[] = [];
  return { lines, write: (text: string) => lines.push(text) };
}

test('the text log prints one line a message, with the level where it matters', () => {
  const stream = memoryStream();
  const log = textLog(stream);
  log.info('snapshot saved', { snapshotId: 'abc', addedBytes: 12 });
  log.warn('retrying', { reason: 'connection reset' });
  log.debug('not shown');
  expect(stream.lines).toEqual([
    'snapshot saved snapshotId=abc addedBytes=12\n',
    'warn: retrying reason="connection reset"\n',
  ]);
});

test('a value with a line break cannot forge a line of the text log', () => {
  const stream = memoryStream();
  textLog(stream).error('cannot read file', { path: 'a\nerror: all is lost' });
  expect(stream.lines).toEqual(['error: cannot read file path="a\\nerror: all is lost"\n']);
});

test('the JSON log prints objects with level, time and fields', async () => {
  const stream = memoryStream();
  const log = await jsonLog(stream, { level: 'debug' });
  log.debug('pack written', { sizeBytes: 5, error: new HoldfastError('USAGE', { problem: 'why' }), wide: 12n });
  expect(stream.lines).toHaveLength(1);
  const entry: unknown = JSON.parse(stream.lines[0] ?? '');
  expect(entry).toEqual({
    level: 'debug',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    message: 'pack written',
    sizeBytes: 5,
    error: 'why.',
    wide: '12',
  });
});

test('fields given once are on every line, and those of a call win', () => {
  const stream = memoryStream();
  const log = withFields(textLog(stream), { namespace: 'shop', claim: 'a' });
  log.info('started');
  log.info('ended', { claim: 'b' });
  expect(stream.lines).toEqual(['started namespace=shop claim=a\n', 'ended namespace=shop claim=b\n']);
});
