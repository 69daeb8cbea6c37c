/** What was done around the cut of a claim, as its recipe records it. No output of commands: that may hold anything. */
import { z } from 'zod';

const endSchema = z.looseObject({
  /** RFC 3339. */
  startedAt: z.string(),
  durationMs: z.number().int().nonnegative(),
  ok: z.boolean(),
  /** Of a command that ended by itself. */
  exitCode: z.number().int().optional(),
});

export const hookRecordSchema = z.looseObject({
  /** From 1, in the order of the policy. */
  hook: z.number().int().positive(),
  /** `container db of pod shop/db-0`, `StatefulSet shop/db`. */
  target: z.string(),
  /** Absent where there was nothing to do. */
  before: endSchema.optional(),
  after: endSchema.optional(),
  /** Whether the application was held from before to after the cut. */
  held: z.boolean(),
});
export type HookRecord = z.infer<typeof hookRecordSchema>;

export function wentWell({ before, after, held }: HookRecord): boolean {
  return held && before?.ok !== false && after?.ok !== false;
}
