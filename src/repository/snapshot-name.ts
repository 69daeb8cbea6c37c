/** What a user types for a backup: `latest`, `shop/data`, `latest~2`, `shop/data@2026-11-01`, or digits of an id. */

export type SnapshotName =
  /** The beginning of an id, or a whole one. */
  | { readonly kind: 'id'; readonly prefix: string }
  | {
      readonly kind: 'newest';
      /** Only of this claim. */
      readonly claim?: { readonly namespace: string; readonly name: string };
      /** How many newer ones to pass over. */
      readonly back: number;
      /** In nanoseconds since 1970, exclusive: only older ones count. */
      readonly beforeNs?: bigint;
    };

const newestForm = /^(latest|[a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*)(?:~(\d{1,6})|@(.+))?$/;
const dayForm = /^(\d{4})-(\d{2})-(\d{2})$/;
const timeForm = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?$/;

/**
 * `@` is followed by a day, which counts to its end, or by an instant, which counts too; without an offset both are in
 * the zone of this machine. undefined where the text names no backup at all.
 */
export function parseSnapshotName(text: string): SnapshotName | undefined {
  const newest = newestForm.exec(text);
  if (!newest) return /^[0-9a-f]{1,64}$/.test(text) ? { kind: 'id', prefix: text } : undefined;
  const [, base = '', back = '0', time] = newest;
  const beforeNs = time === undefined ? undefined : parseLimit(time);
  if (time !== undefined && beforeNs === undefined) return undefined;
  const [namespace = '', name] = base.split('/');
  return {
    kind: 'newest',
    back: Number(back),
    ...(name === undefined ? {} : { claim: { namespace, name } }),
    ...(beforeNs === undefined ? {} : { beforeNs }),
  };
}

/** From the day or instant that a user types to the first nanosecond that is too late; undefined where it is neither. */
export function parseLimit(text: string): bigint | undefined {
  const day = dayForm.exec(text);
  if (day) {
    const [year, month, date] = day.slice(1).map(Number) as [number, number, number];
    const isReal = new Date(Date.UTC(year, month - 1, date)).getUTCDate() === date && month >= 1 && month <= 12;
    return isReal ? nanoseconds(new Date(year, month - 1, date + 1)) : undefined;
  }
  if (!timeForm.test(text)) return undefined;
  const instant = nanoseconds(new Date(text.replace(' ', 'T')));
  return instant === undefined ? undefined : instant + 1n;
}

function nanoseconds(date: Date): bigint | undefined {
  return Number.isNaN(date.getTime()) ? undefined : BigInt(date.getTime()) * 1_000_000n;
}
