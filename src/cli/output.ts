/**
 * What a command says: results on stdout, everything else on stderr. With --json, stdout carries JSON only.
 */
import { stripVTControlCharacters, styleText } from 'node:util';
import { codeOf, HoldfastError } from '../base/errors.ts';

/** The signal that ends a program which writes to a closed pipe. */
export const readerGone = 'SIGPIPE';

export interface TextStream {
  /** `done` is called when the stream has taken it, or with why it could not. */
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Output {
  readonly json: boolean;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** A line of the result. */
  line(text?: string): void;
  /** A result that is text as it is, such as YAML; the same with --json. */
  text(text: string): void;
  /** A value of the result, as one line of JSON. */
  value(value: unknown): void;
  /** Part of a result that may be large, as it is; waits until it is written. */
  bytes(data: Uint8Array): Promise<void>;
  /** A line for the reader beside the result, on stderr; nothing with --json. */
  note(text: string): void;
  /** Something that went wrong without ending the run: text, or one line of JSON. */
  problem(text: string, json: Readonly<Record<string, unknown>>): void;
  bold(text: string): string;
  dim(text: string): string;
}

export interface OutputOptions {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly json: boolean;
  /** Colours on stdout and on stderr. */
  readonly colour: { readonly stdout: boolean; readonly stderr: boolean };
}

export function createOutput({ stdout, stderr, json, colour }: OutputOptions): Output {
  const style = (format: 'bold' | 'dim', text: string): string =>
    colour.stdout ? styleText(format, text, { validateStream: false }) : text;
  return {
    json,
    stdout,
    stderr,
    text: (text) => stdout.write(text),
    line: (text = '') => stdout.write(`${text}\n`),
    value: (value) => stdout.write(`${JSON.stringify(value)}\n`),
    bytes: (data) =>
      new Promise((resolve, reject) => {
        stdout.write(data, (error) => (error ? reject(asInterruption(error)) : resolve()));
      }),
    note: (text) => {
      if (!json) stderr.write(`${text}\n`);
    },
    problem: (text, fields) =>
      stderr.write(json ? `${JSON.stringify(fields)}\n` : `${paint('red', text, colour.stderr)}\n`),
    bold: (text) => style('bold', text),
    dim: (text) => style('dim', text),
  };
}

/** Whoever read has enough: `holdfast ls | head`. */
function asInterruption(error: Error): Error {
  const isGone = ['EPIPE', 'ERR_STREAM_DESTROYED'].includes(codeOf(error) ?? '');
  return isGone ? new HoldfastError('INTERRUPTED', { signal: readerGone }, { cause: error }) : error;
}

export function paint(format: 'red' | 'yellow', text: string, colour: boolean): string {
  return colour ? styleText(format, text, { validateStream: false }) : text;
}

export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** Lines of a table: title line, then a line per row, columns two spaces apart, nothing at the end of a line. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[], bold = plain): string[] {
  const titles = columns.map((column) => column.title);
  const widths = columns.map((_, at) => Math.max(...[titles, ...rows].map((row) => displayWidth(row[at] ?? ''))));
  const format = (row: readonly string[]): string =>
    columns
      .map(({ align }, at) => {
        const text = row[at] ?? '';
        const space = ' '.repeat((widths[at] ?? 0) - displayWidth(text));
        return align === 'right' ? space + text : text + space;
      })
      .join('  ')
      .trimEnd();
  return [bold(format(titles)), ...rows.map(format)];
}

/** `2026-11-22 19:30:05 +01:00`: the reader's own time, with the zone it is in. */
export function formatTime(time: string | number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}

/** `1,234,567` */
export function formatCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 file`, `2 files` */
export function formatAmount(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** The first 8 digits, as restic shows ids. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

function displayWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function plain(text: string): string {
  return text;
}
