/** Which packs a partial check reads, as restic's --read-data-subset says it. */
import { HoldfastError } from '../base/errors.ts';

export type PackSubset =
  /** The n-th of t parts, 1 ≤ n ≤ t ≤ 256: over t runs each pack is read once. */
  | { readonly kind: 'part'; readonly part: number; readonly of: number }
  /** A random part of the packs. */
  | { readonly kind: 'percent'; readonly percent: number }
  /** Random packs of about so many bytes together. */
  | { readonly kind: 'size'; readonly sizeBytes: number };

/** Parses `n/t`, `x%` or a size such as `500M`. Throws USAGE. */
export function parseSubset(text: string): PackSubset {
  const parts = /^(\d+)\/(\d+)$/.exec(text);
  if (parts) {
    const [part, of] = [Number(parts[1]), Number(parts[2])];
    if (part >= 1 && part <= of && of <= 256) return { kind: 'part', part, of };
  } else if (/^\d+(\.\d+)?%$/.test(text)) {
    const percent = Number(text.slice(0, -1));
    if (percent > 0 && percent <= 100) return { kind: 'percent', percent };
  } else if (/^[1-9]\d*[kmgt]$/i.test(text)) {
    const power = 'kmgt'.indexOf(text.at(-1)!.toLowerCase()) + 1;
    return { kind: 'size', sizeBytes: Number(text.slice(0, -1)) * 1024 ** power };
  }
  const problem = `"${text}" is no part of the data: give n/t with t up to 256, a percentage, or a size such as 500M`;
  throw new HoldfastError('USAGE', { problem });
}

/** The packs of the subset. `random` gives numbers in [0, 1). */
export function selectPacks(
  packs: ReadonlyMap<string, { readonly sizeBytes: number }>,
  subset: PackSubset,
  random: () => number = Math.random,
): Set<string> {
  const ids = [...packs.keys()];
  if (subset.kind === 'part') {
    return new Set(ids.filter((id) => Number.parseInt(id.slice(0, 2), 16) % subset.of === subset.part - 1));
  }
  const percent = subset.kind === 'percent' ? subset.percent : percentOf(packs, subset.sizeBytes);
  const count = Math.min(ids.length, Math.max(1, Math.floor((ids.length * percent) / 100)));
  const chosen = new Set<string>();
  // Fisher and Yates, as far as needed.
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random() * (ids.length - at));
    [ids[at], ids[other]] = [ids[other]!, ids[at]!];
    chosen.add(ids[at]!);
  }
  return chosen;
}

function percentOf(packs: ReadonlyMap<string, { readonly sizeBytes: number }>, sizeBytes: number): number {
  let total = 0;
  for (const pack of packs.values()) total += pack.sizeBytes;
  return total === 0 ? 100 : Math.min(100, (sizeBytes / total) * 100);
}
