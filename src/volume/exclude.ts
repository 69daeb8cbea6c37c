/**
 * Which entries of a folder are left out of its backup, by restic's rules: patterns over absolute paths, folders that
 * carry a mark, files above a size, other file systems. A folder that is left out is not entered, so nothing in it
 * comes back by a later `!`.
 */
import { type BigIntStats, closeSync, constants, lstatSync, openSync, readSync } from 'node:fs';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { matchPatterns, type PathPattern, parsePattern, pathNames } from '../repository/path-pattern.ts';
import type { Listing } from './folder-listing.ts';
import { withShortPath } from './long-path.ts';

export interface ExcludeMark {
  /** A folder with a file of this name keeps only that file. */
  readonly fileName: string;
  /** With which its content has to begin. */
  readonly header?: string;
}

export interface ExcludeRules {
  /** In restic's notation. Later ones correct earlier ones. */
  readonly patterns?: readonly string[];
  /** The same, upper and lower case being equal; on their own. */
  readonly patternsIgnoringCase?: readonly string[];
  readonly ifPresent?: readonly ExcludeMark[];
  /** Regular files that are larger are left out. */
  readonly largerThanBytes?: number;
  /** Folders on which another file system is mounted stay, empty. */
  readonly oneFileSystem?: boolean;
}

interface PatternList {
  readonly patterns: readonly PathPattern[];
  readonly ignoreCase: boolean;
}

/**
 * `source` is the folder that will be walked, `shownAs` its absolute path for the patterns. undefined for rules that
 * leave nothing out. Throws USAGE for a pattern that cannot be read, and where nothing at all would be left.
 */
export function makeExclusion(rules: ExcludeRules, source: string, shownAs: string): Exclusion | undefined {
  if (leavesNothingOut(rules)) return undefined;
  let exclusion: Exclusion;
  try {
    exclusion = new Exclusion(rules, source, shownAs);
  } catch (error) {
    throw new HoldfastError('USAGE', { problem: `Exclusion: ${messageOf(error)}` }, { cause: error });
  }
  if (!exclusion.hitsSource) return exclusion;
  throw new HoldfastError('USAGE', { problem: `The exclusions leave out ${shownAs} itself, so that nothing is left` });
}

function leavesNothingOut(rules: ExcludeRules): boolean {
  return Object.values(rules).every(
    (rule) => rule === undefined || rule === false || (Array.isArray(rule) && rule.length === 0),
  );
}

export class Exclusion {
  readonly #rules: ExcludeRules;
  readonly #source: string;
  readonly #shownAs: string;
  readonly #lists: readonly PatternList[];
  readonly #device: bigint | undefined;

  /** Throws an Error that says what is wrong with a pattern. */
  constructor(rules: ExcludeRules, source: string, shownAs: string) {
    this.#rules = rules;
    this.#source = Buffer.from(source).toString('latin1');
    this.#shownAs = Buffer.from(shownAs === '/' ? '' : shownAs).toString('latin1');
    this.#lists = [listOf(rules.patterns ?? [], false), listOf(rules.patternsIgnoringCase ?? [], true)].filter(
      ({ patterns }) => patterns.length > 0,
    );
    this.#device = rules.oneFileSystem ? lstatSync(`${source}/.`, { bigint: true }).dev : undefined;
  }

  /** Whether the patterns leave out the source itself: then nothing would be left. */
  get hitsSource(): boolean {
    return this.#isNamed(this.#source);
  }

  /** What is left of the listing of a folder; `path` is latin1, below the source or the source itself. */
  apply(path: string, listing: Listing): Listing {
    if (this.#isForeign(path)) return { names: [], folders: new Set() };
    const marks = (this.#rules.ifPresent ?? []).filter((mark) => hasMark(path, listing, mark));
    const names = listing.names.filter(
      (name) =>
        !this.#isNamed(`${path}/${name}`) &&
        marks.every(({ fileName }) => name === latin1(fileName)) &&
        (listing.folders.has(name) || !this.#isWrongFile(`${path}/${name}`)),
    );
    if (names.length === listing.names.length) return listing;
    return { names, folders: new Set(names.filter((name) => listing.folders.has(name))) };
  }

  #isNamed(path: string): boolean {
    const shown = Buffer.from(this.#shownAs + path.slice(this.#source.length), 'latin1');
    return this.#lists.some(
      ({ patterns, ignoreCase }) => matchPatterns(patterns, pathNames(shown, { ignoreCase })).matched,
    );
  }

  #isForeign(folder: string): boolean {
    return this.#device !== undefined && deviceOf(folder) !== this.#device;
  }

  #isWrongFile(path: string): boolean {
    const { largerThanBytes } = this.#rules;
    if (largerThanBytes === undefined && this.#device === undefined) return false;
    const stat = statOf(path);
    if (!stat) return false;
    if (this.#device !== undefined && stat.dev !== this.#device) return true;
    return largerThanBytes !== undefined && stat.isFile() && stat.size > BigInt(largerThanBytes);
  }
}

function listOf(texts: readonly string[], ignoreCase: boolean): PatternList {
  return { patterns: texts.map((text) => parsePattern(text, { ignoreCase, negation: true })), ignoreCase };
}

/** A file whose beginning cannot be read is no mark. */
function hasMark(folder: string, { names, folders }: Listing, { fileName, header = '' }: ExcludeMark): boolean {
  const name = latin1(fileName);
  if (!names.includes(name)) return false;
  if (header === '') return true;
  if (folders.has(name)) return false;
  try {
    // Without waiting for the other end of a FIFO.
    const path = Buffer.from(`${folder}/${name}`, 'latin1');
    const fd = withShortPath(path, (short) => openSync(short, constants.O_RDONLY | constants.O_NONBLOCK));
    try {
      const wanted = Buffer.from(header);
      const found = Buffer.alloc(wanted.length);
      readSync(fd, found, 0, found.length, 0);
      return found.equals(wanted);
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}

function deviceOf(folder: string): bigint | undefined {
  return statOf(`${folder}/.`)?.dev;
}

function statOf(path: string): BigIntStats | undefined {
  const options = { bigint: true, throwIfNoEntry: false } as const;
  return withShortPath(Buffer.from(path, 'latin1'), (short) => lstatSync(short, options));
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
