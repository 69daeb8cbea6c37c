/** The entries of one directory, as the walk of a backup needs them. Paths and names are bytes, kept as latin1. */
import { readdirSync } from 'node:fs';
import { withShortPath } from './long-path.ts';

export interface Listing {
  readonly names: readonly string[];
  /** Those among the names that are directories. */
  readonly folders: ReadonlySet<string>;
}

export const emptyListing: Listing = { names: [], folders: new Set() };

/** Names in tree order: ascending bytes, which as latin1 is ascending code units. */
export function listFolder(path: string): Listing {
  const options = { encoding: 'latin1', withFileTypes: true } as const;
  const entries = withShortPath(Buffer.from(path, 'latin1'), (short) => readdirSync(short, options));
  const names = entries.map((entry) => entry.name).sort(byCodeUnits);
  return { names, folders: new Set(entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)) };
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
