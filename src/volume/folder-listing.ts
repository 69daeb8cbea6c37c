/** The entries of one directory, as the walk of a backup needs them. Paths and names are bytes, kept as latin1. */
import { readdirSync } from 'node:fs';
import { withShortPath } from './long-path.ts';

export interface Listing {
  readonly names: readonly string[];
  /** Those among the names that are directories, in the same order. */
  readonly folders: ReadonlySet<string>;
}

export const emptyListing: Listing = { names: [], folders: new Set() };

/** Names in tree order: ascending bytes, which as latin1 is ascending code units. */
export function listFolder(path: string): Listing {
  const options = { encoding: 'latin1', withFileTypes: true } as const;
  const entries = withShortPath(Buffer.from(path, 'latin1'), (short) => readdirSync(short, options));
  entries.sort((a, b) => byCodeUnits(a.name, b.name));
  const folders = entries.filter((entry) => entry.isDirectory());
  return { names: entries.map(nameOf), folders: new Set(folders.map(nameOf)) };
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
