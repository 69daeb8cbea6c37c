/**
 * What a run says while it works: constant lower-case messages plus fields. Results go to stdout, this to the stream given.
 * Secrets never come here.
 */
import { HoldfastError } from './errors.ts';

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  /** Something is worse than it should be, and the run goes on. */
  warn(message: string, fields?: LogFields): void;
  /** Somebody must act. */
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** Least level that is written; default info. */
  readonly level?: LogLevel;
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** For people: `warn: message key=value`, info without its level. */
export function textLog(stream: { write(text: string): unknown }, options: LogOptions = {}): Log {
  return fromSink((level, message, fields) => {
    const prefix = level === 'info' ? '' : `${level}: `;
    const tail = Object.entries(fields)
      .map(([key, value]) => ` ${key}=${formatValue(value)}`)
      .join('');
    stream.write(`${prefix}${message}${tail}\n`);
  }, options.level);
}

/** For log collectors: one JSON object a line, written by pino, which is loaded only here. */
export async function jsonLog(stream: { write(text: string): unknown }, options: LogOptions = {}): Promise<Log> {
  const { pino } = await import('pino');
  const logger = pino(
    {
      level: 'debug',
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void stream.write(line) },
  );
  return fromSink((level, message, fields) => logger[level](plainFields(fields), message), options.level);
}

export const silentLog: Log = fromSink(() => undefined);

/** A log whose lines all carry `fields`; those of a call win. */
export function withFields(log: Log, fields: LogFields): Log {
  return fromSink((level, message, own) => log[level](message, { ...fields, ...own }), 'debug');
}

function fromSink(write: (level: LogLevel, message: string, fields: LogFields) => void, least: LogLevel = 'info'): Log {
  const from = levels.indexOf(least);
  const writer = (level: LogLevel) => {
    if (levels.indexOf(level) < from) return () => undefined;
    return (message: string, fields: LogFields = {}) => write(level, message, fields);
  };
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
}

function formatValue(value: unknown): string {
  const plain = plainValue(value);
  const text = typeof plain === 'string' ? plain : (JSON.stringify(plain) ?? 'undefined');
  // Line breaks and quotes would let a file name forge a line of the log.
  return /^[\w./:@+,-]+$/.test(text) ? text : JSON.stringify(text);
}

function plainFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (value instanceof HoldfastError) return value.message;
  if (value instanceof Error) return value.stack ?? value.message;
  return typeof value === 'bigint' ? value.toString() : value;
}
