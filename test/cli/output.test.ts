import { expect, test } from 'vitest';
import {
  createOutput,
  formatAmount,
  formatCount,
  formatTable,
  formatTime,
  type TextStream,
} from '../../src/cli/output.ts';
import { createProgress, formatBar } from '../../src/cli/progress.ts';

class Recorder implements TextStream {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 30;

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(part: string): void {
    this.text += part;
  }
}

function outputTo(stderr: Recorder, json = false, stdout = new Recorder()) {
  return createOutput({ stdout, stderr, json, colour: { stdout: false, stderr: false } });
}

test('a table lines its columns up by what is seen, and ends its lines with no spaces', () => {
  const columns = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'TAGS' }] as const;
  const rows = [
    ['größe', '5 B', ''],
    ['a', '1.5 GiB', 'x, y'],
  ];
  expect(formatTable(columns, rows)).toEqual(['NAME      SIZE  TAGS', 'größe      5 B', 'a      1.5 GiB  x, y']);
});

test('a time is shown in the zone of its reader, and says which', () => {
  const shown = formatTime('2026-11-22T19:30:05.123456789+01:00');
  expect(shown).toMatch(/^2026-11-2\d \d\d:\d\d:05 [+-]\d\d:\d\d$/);
  expect(new Date(shown.replace(' ', 'T').replace(' ', '')).toISOString()).toBe('2026-11-22T18:30:05.000Z');
});

test('counts have separators and a noun that fits', () => {
  expect(formatCount(1234567)).toBe('1,234,567');
  expect([formatAmount(1, 'file'), formatAmount(2000, 'file'), formatAmount(0, 'entry', 'entries')]).toEqual([
    '1 file',
    '2,000 files',
    '0 entries',
  ]);
});

test('with JSON, notes are left out and problems are one line each', () => {
  const stderr = new Recorder();
  const stdout = new Recorder();
  const output = outputTo(stderr, true, stdout);
  output.note('hello');
  output.problem('cannot read x', { type: 'file-error', path: 'x' });
  output.value([{ id: 1 }]);
  expect(stderr.text).toBe('{"type":"file-error","path":"x"}\n');
  expect(stdout.text).toBe('[{"id":1}]\n');
});

test('on a terminal progress is one line that fits it, redrawn at most ten times a second, and removed at the end', () => {
  const stderr = new Recorder(true);
  let nowMs = 0;
  const progress = createProgress(outputTo(stderr), () => nowMs);
  for (nowMs = 0; nowMs < 1000; nowMs += 10) progress.update(() => `${nowMs} ${'long '.repeat(20)}`);
  const drawn = stderr.text.split('\r').filter((line) => line !== '');
  expect(drawn.length).toBe(9);
  expect(Math.max(...drawn.map((line) => line.replace('\x1b[K', '').length))).toBeLessThan(30);
  stderr.text = '';
  progress.clear();
  progress.clear();
  expect(stderr.text).toBe('\r\x1b[K');
});

test('elsewhere progress is a line after 10 s, and then ever fewer', () => {
  const stderr = new Recorder();
  let nowMs = 0;
  const progress = createProgress(outputTo(stderr), () => nowMs);
  for (nowMs = 0; nowMs <= 3_600_000; nowMs += 1000) progress.update(() => `${nowMs / 1000} s`);
  const seconds = stderr.text
    .trimEnd()
    .split('\n')
    .map((line) => Number.parseInt(line, 10));
  expect(seconds.slice(0, 6)).toEqual([10, 20, 40, 80, 160, 320]);
  expect(seconds.at(-1)! - seconds.at(-2)!).toBe(300);
});

test('with JSON there is no progress', () => {
  const stderr = new Recorder(true);
  createProgress(outputTo(stderr, true), () => 1e9).update(() => 'x');
  expect(stderr.text).toBe('');
});

test('a bar is as long as what is done, and never longer', () => {
  expect(formatBar(0, 10, 10)).toBe('[----------]   0%');
  expect(formatBar(5, 10, 10)).toBe('[#####-----]  50%');
  expect(formatBar(11, 10, 10)).toBe('[##########] 100%');
  expect(formatBar(1, 0, 4)).toBe('[----]   0%');
});
