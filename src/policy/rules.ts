/** The retention of a policy file in the terms of the rules that restic has. */
import { parseDuration } from '../base/units.ts';
import { parseSpan } from './calendar-span.ts';
import type { RetentionPolicy } from './retention.ts';
import type { RetentionFloor } from './retention-floor.ts';
import type { RetentionRules } from './schema.ts';

export function retentionOf(rules: RetentionRules): RetentionPolicy {
  const entries = {
    last: rules.keepLast,
    hourly: rules.keepHourly,
    daily: rules.keepDaily,
    weekly: rules.keepWeekly,
    monthly: rules.keepMonthly,
    yearly: rules.keepYearly,
    within: rules.keepWithin === undefined ? undefined : parseSpan(rules.keepWithin),
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

export function floorOf(rules: RetentionRules): Omit<RetentionFloor, 'nowNs'> {
  return {
    ...(rules.minimumAge === undefined ? {} : { minimumAgeMs: parseDuration(rules.minimumAge) }),
    ...(rules.minimumCount === undefined ? {} : { minimumCount: rules.minimumCount }),
  };
}
