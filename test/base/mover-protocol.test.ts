import { expect, test } from 'vitest';
import { encodeMoverAnswer, type MoverAnswer, parseMoverAnswer, parseMoverJob } from '../../src/base/mover-protocol.ts';

const answer: MoverAnswer = {
  version: 1,
  kind: 'backup',
  exitCode: 0,
  counts: { files: 3 },
  errorCount: 0,
  errors: [],
};

test('an answer comes back as it was', () => {
  expect(parseMoverAnswer(encodeMoverAnswer({ ...answer, backupId: 'abc' }))).toEqual({ ...answer, backupId: 'abc' });
});

test('an answer with many and long errors still fits into a termination message, and keeps their number', () => {
  const error = { path: `/${'ä'.repeat(4000)}`, message: '"\\'.repeat(2000) };
  const failure = { code: 'STORE_FAILED', message: '€'.repeat(9000), hint: 'h'.repeat(900) };
  const text = encodeMoverAnswer({
    ...answer,
    exitCode: 3,
    errorCount: 5000,
    errors: Array(5000).fill(error),
    failure,
  });
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
  expect(parseMoverAnswer(text)).toMatchObject({ exitCode: 3, errorCount: 5000, failure: { code: 'STORE_FAILED' } });
});

test('what is no answer is none: empty, cut off, or of something else', () => {
  const text = encodeMoverAnswer(answer);
  for (const other of ['', text.slice(0, -3), 'panic: out of memory', '{"version":2}', 'null']) {
    expect(parseMoverAnswer(other)).toBeUndefined();
  }
});

test('a job that lacks something is refused with its name', () => {
  const job = { version: 1, kind: 'restore', repository: 's3:x', backupId: 'a', target: '/volume', clusterUid: 'c' };
  expect(parseMoverJob(JSON.stringify({ ...job, subfolder: '/a/b' }))).toMatchObject({ kind: 'restore' });
  expect(() => parseMoverJob(JSON.stringify(job))).toThrow(/subfolder/);
  expect(() => parseMoverJob('not json')).toThrow('not a mover');
});
