/** Spans of time as retention rules write them: `1y2m3d4h`, in calendar years, months and days, and in hours. */
import { HoldfastError } from '../base/errors.ts';

export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const units = { y: 'years', m: 'months', d: 'days', h: 'hours' } as const;
const nsPerSecond = 1_000_000_000n;
const nsPerHour = 3600n * nsPerSecond;

/** Parses `1y2m3d4h`, any part of it in any order. Throws POLICY_INVALID. */
export function parseSpan(text: string): CalendarSpan {
  if (!/^(\d+[ymdh])+$/.test(text)) {
    const problem = `"${text}" is no span of time such as 1y2m3d4h (years, months, days, hours)`;
    throw new HoldfastError('POLICY_INVALID', { source: 'retention', problem });
  }
  const span = { years: 0, months: 0, days: 0, hours: 0 };
  for (const [, count, unit] of text.matchAll(/(\d+)([ymdh])/g))
    span[units[unit as keyof typeof units]] = Number(count);
  return span;
}

/** As parseSpan takes it; parts that are zero are left out. */
export function formatSpan({ years, months, days, hours }: CalendarSpan): string {
  const parts: readonly (readonly [number, string])[] = [
    [years, 'y'],
    [months, 'm'],
    [days, 'd'],
    [hours, 'h'],
  ];
  return parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
}

export function isZeroSpan(span: CalendarSpan): boolean {
  return formatSpan(span) === '';
}

/**
 * The instant that lies a span before another, in the other's zone. A day that its month does not have runs over into
 * the next one: a month before 31 March is 3 March, in a leap year 2 March.
 */
export function minusSpan(
  { timeNs, offsetSeconds }: { readonly timeNs: bigint; readonly offsetSeconds: number },
  { years, months, days, hours }: CalendarSpan,
): bigint {
  const seconds = timeNs / nsPerSecond;
  const date = new Date((Number(seconds) + offsetSeconds) * 1000);
  date.setUTCFullYear(date.getUTCFullYear() - years, date.getUTCMonth() - months, date.getUTCDate() - days);
  const shifted = BigInt(date.getTime() / 1000 - offsetSeconds);
  return shifted * nsPerSecond + (timeNs % nsPerSecond) - BigInt(hours) * nsPerHour;
}
