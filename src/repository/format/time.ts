/** Times as Go writes them in JSON: RFC 3339 with up to nine digits of fraction, trailing zeros left out. */

/** Go's zero time, 0001-01-01T00:00:00Z: what a time that was not recorded reads as. */
export const zeroTimeNs = -62_135_596_800_000_000_000n;

const nsPerSecond = 1_000_000_000n;
const minSeconds = -62_167_219_200; // 0000-01-01T00:00:00Z
const maxSeconds = 253_402_300_799; // 9999-12-31T23:59:59Z
const secondsPerDay = 86_400;
const rememberedSeconds = 4096;
/** Files are often written in bursts, so the text of a second is needed again and again. */
const secondTexts = new Map<number, string>();

/** RFC 3339 in UTC of nanoseconds since 1970. Years are held within 0000 to 9999, as restic does. */
export function formatTime(ns: bigint): string {
  let seconds = Number(ns / nsPerSecond);
  let rest = Number(ns % nsPerSecond);
  if (rest < 0) {
    rest += 1_000_000_000;
    seconds -= 1;
  }
  return formatSeconds(seconds, rest);
}

/** As formatTime, for whole seconds since 1970, rounded down, and the nanoseconds above them. */
export function formatSeconds(seconds: number, rest: number): string {
  if (seconds < minSeconds || seconds > maxSeconds) {
    return clampedYear(seconds);
  }
  const text = secondText(seconds);
  return rest === 0 ? `${text}Z` : `${text}.${fraction(rest)}Z`;
}

function fraction(ns: number): string {
  const digits = String(1_000_000_000 + ns);
  let end = 10;
  while (digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(1, end);
}

/** restic replaces the year only; month, day and time stay. Beyond Date's range there is nothing to keep. */
function clampedYear(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return seconds < 0 ? '0000-01-01T00:00:00Z' : '9999-12-31T23:59:59Z';
  date.setUTCFullYear(seconds < 0 ? 0 : 9999);
  return `${date.toISOString().slice(0, 19)}Z`;
}

function secondText(seconds: number): string {
  const known = secondTexts.get(seconds);
  if (known !== undefined) return known;
  if (secondTexts.size >= rememberedSeconds) secondTexts.clear();
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  secondTexts.set(seconds, text);
  return text;
}

/** Nanoseconds since 1970 of an RFC 3339 time; undefined where the text is no time. */
export function parseTime(text: string): bigint | undefined {
  const parts = splitTime(text);
  return parts && BigInt(parts.seconds) * nsPerSecond + BigInt(parts.ns);
}

/** The offset from UTC that a time is written in, in seconds; undefined where the text is no time. */
export function parseTimeOffset(text: string): number | undefined {
  return splitTime(text)?.offsetSeconds;
}

interface TimeParts {
  readonly seconds: number;
  readonly ns: number;
  readonly offsetSeconds: number;
}

function splitTime(text: string): TimeParts | undefined {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (Number.isNaN(year + month + day + hour + minute + second) || !hasSeparators(text)) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  let at = 19;
  let ns = 0;
  const mark = text.charCodeAt(at);
  if (mark === 46 || mark === 44) {
    at += 1;
    let scale = 100_000_000;
    const start = at;
    for (let digit = text.charCodeAt(at) - 48; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - 48) {
      ns += digit * scale;
      scale = Math.floor(scale / 10);
    }
    if (at === start) return undefined;
  }
  const offsetSeconds = zoneOffset(text, at);
  if (offsetSeconds === undefined) return undefined;
  const local = daysSince1970(year, month, day) * secondsPerDay + hour * 3600 + minute * 60 + second;
  return { seconds: local - offsetSeconds, ns, offsetSeconds };
}

function zoneOffset(text: string, at: number): number | undefined {
  const sign = text.charCodeAt(at);
  if (sign === 90) return text.length === at + 1 ? 0 : undefined;
  if (sign !== 43 && sign !== 45) return undefined;
  const hours = digits(text, at + 1, 2);
  const minutes = digits(text, at + 4, 2);
  if (text.length !== at + 6 || text[at + 3] !== ':' || !(hours <= 24) || !(minutes <= 60)) return undefined;
  const offset = hours * 3600 + minutes * 60;
  return sign === 45 ? -offset : offset;
}

function hasSeparators(text: string): boolean {
  return text[4] === '-' && text[7] === '-' && text[10] === 'T' && text[13] === ':' && text[16] === ':';
}

/** NaN where a character is no digit. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return monthDays[month - 1]! + (leap ? 1 : 0);
}

/** Days of the proleptic Gregorian calendar, counted in years that begin in March. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
