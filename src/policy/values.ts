/** The kinds of values that a policy file holds, each with a message that says what is expected. */
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { parseDuration } from '../base/units.ts';
import { parseSpan } from './calendar-span.ts';

type FindProblem = (text: string) => string | undefined;

export const objectName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'is no name of a Kubernetes object');

/** Rules of restic: `1y2m3d4h`. */
export const span = checkedText(problemWith(parseSpan));
/** `30s`, `1h30m`. */
export const duration = checkedText(problemWith(parseDuration));
/** A duration that something is given to end in: 0 would let nothing end. */
export const deadline = duration.refine((text) => isNoDuration(text) || parseDuration(text) > 0, 'has to be above 0');
export const cron = checkedText(cronProblem);
export const timeZone = checkedText(zoneProblem);
/** Bytes as Kubernetes writes them: `200Mi`, `1.5Gi`, 1000000. */
export const quantity = z.union([z.string(), z.number()]).refine((given) => parseQuantity(given) !== undefined, {
  error: ({ input }) => `"${String(input)}" is no size such as 200Mi or 1.5Gi`,
});
export const positiveCount = z.number().int().min(1);

export const labelKey = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    'is no key of a label',
  );
export const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/, 'is no value of a label');

/** A name of a claim in which `*` stands for any characters. */
export const namePattern = z
  .string()
  .regex(/^[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?$/, 'is no name of a claim (* is allowed)');

function isNoDuration(text: string): boolean {
  return problemWith(parseDuration)(text) !== undefined;
}

function checkedText(findProblem: FindProblem) {
  return z.string().superRefine((text, context) => {
    const message = findProblem(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

function problemWith(parse: (text: string) => unknown): FindProblem {
  return (text) => {
    try {
      parse(text);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
}

/** Five fields or a macro, as a CronJob takes it; the zone has a field of its own there. */
function cronProblem(text: string): string | undefined {
  const field = /^[\d*,/?LW#A-Za-z-]+$/;
  const parts = text.trim().split(/\s+/);
  const macro = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(text);
  if (macro || (parts.length === 5 && parts.every((part) => field.test(part)))) return undefined;
  return `"${text}" is no cron expression of five fields`;
}

function zoneProblem(text: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return undefined;
  } catch {
    return `"${text}" is no time zone such as Europe/Berlin`;
  }
}
