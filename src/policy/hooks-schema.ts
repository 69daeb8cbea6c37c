/**
 * What is done in the cluster around the cut of claims: commands in pods, or workloads scaled to zero. One shape for both,
 * so that an unknown key is found and named; docs/hooks.md tells what they do.
 */
import { z } from 'zod';
import { selectorSchema } from './selector.ts';
import { deadline, labelKey, labelValue, objectName } from './values.ts';

const matchLabels = z
  .record(labelKey, labelValue)
  .refine((labels) => Object.keys(labels).length > 0, 'has no label, and would mean everything');

/** Program and arguments, without a shell. */
const command = z.array(z.string()).min(1);

export const hookSchema = z
  .strictObject({
    /** For which claims; default those that the pods (or the pods of the workloads) use. */
    claims: selectorSchema.optional(),
    pods: z.strictObject({ matchLabels }).optional(),
    /** Default: the pod's default or first one. */
    container: objectName.optional(),
    before: command.optional(),
    after: command.optional(),
    /** StatefulSets and Deployments with these labels; without labels those whose pods use the claims. */
    scaleToZero: z.strictObject({ matchLabels: matchLabels.optional() }).optional(),
    /** For each command (default 30s), or until the pods are gone (default 5m). */
    timeout: deadline.optional(),
    /** How long an application is held between before and after; then the after-command runs by itself. */
    holdMax: deadline.optional(),
    onError: z.enum(['Fail', 'Continue']).optional(),
  })
  .superRefine((hook, context) => {
    const add = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (hook.scaleToZero !== undefined) {
      const others = (['pods', 'container', 'before', 'after', 'holdMax'] as const).filter((key) => hook[key]);
      for (const key of others) add(key, 'is for commands, and this hook scales to zero; make two hooks of it');
      return;
    }
    if (hook.pods === undefined) add('pods', 'is missing: in which pods does the command run? (Or scaleToZero.)');
    if (hook.before === undefined && hook.after === undefined) add('before', 'is missing, and so is after');
    if (hook.holdMax !== undefined && hook.after === undefined) add('holdMax', 'needs an after, which ends the hold');
  });

export type HookRule = z.infer<typeof hookSchema>;
