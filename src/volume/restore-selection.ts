/**
 * What of a backup is restored, by restic's rules: patterns over paths that begin at the folder which is restored. With
 * inclusions only what matches, and what lies below it; with exclusions all but that.
 */
import { HoldfastError, messageOf } from '../base/errors.ts';
import { matchPatterns, type PathPattern, parsePattern, pathNames } from '../repository/path-pattern.ts';

/** In restic's notation; later ones correct earlier ones. Either inclusions or exclusions. */
export interface SelectionRules {
  readonly include?: readonly string[];
  /** The same, upper and lower case being equal; on their own. */
  readonly includeIgnoringCase?: readonly string[];
  readonly exclude?: readonly string[];
  readonly excludeIgnoringCase?: readonly string[];
}

export interface Selected {
  readonly isSelected: boolean;
  /** Whether something below it may be selected, where it is a folder. */
  readonly mayHoldSelected: boolean;
}

const everything: Selected = { isSelected: true, mayHoldSelected: true };

interface PatternList {
  readonly patterns: readonly PathPattern[];
  readonly ignoreCase: boolean;
}

export class Selection {
  readonly #include: readonly PatternList[];
  readonly #exclude: readonly PatternList[];

  /** Throws USAGE for a pattern that cannot be read, and for inclusions together with exclusions. */
  constructor({ include = [], includeIgnoringCase = [], exclude = [], excludeIgnoringCase = [] }: SelectionRules = {}) {
    this.#include = listsOf(include, includeIgnoringCase, 'Inclusion');
    this.#exclude = listsOf(exclude, excludeIgnoringCase, 'Exclusion');
    if (this.#include.length > 0 && this.#exclude.length > 0) {
      throw new HoldfastError('USAGE', { problem: 'Give either what to include or what to exclude' });
    }
  }

  /** `path` is latin1, relative to what is restored. */
  of(path: string): Selected {
    if (this.#include.length === 0 && this.#exclude.length === 0) return everything;
    const bytes = Buffer.from(`/${path}`, 'latin1');
    if (this.#exclude.length > 0) {
      const isSelected = !this.#exclude.some((list) => verdict(list, bytes).matched);
      return { isSelected, mayHoldSelected: isSelected };
    }
    const verdicts = this.#include.map((list) => verdict(list, bytes));
    return {
      isSelected: verdicts.some(({ matched }) => matched),
      mayHoldSelected: verdicts.some(({ mayMatchBelow }) => mayMatchBelow),
    };
  }

  /** Whether the folder that is restored gets its own attributes: not where only parts of it are wanted. */
  get isOfRoot(): boolean {
    return this.#include.length === 0;
  }
}

function verdict({ patterns, ignoreCase }: PatternList, path: Buffer) {
  return matchPatterns(patterns, pathNames(path, { ignoreCase }));
}

function listsOf(plain: readonly string[], ignoringCase: readonly string[], what: string): PatternList[] {
  return [
    { texts: plain, ignoreCase: false },
    { texts: ignoringCase, ignoreCase: true },
  ]
    .filter(({ texts }) => texts.length > 0)
    .map(({ texts, ignoreCase }) => ({ patterns: texts.map((text) => parse(text, ignoreCase, what)), ignoreCase }));
}

function parse(text: string, ignoreCase: boolean, what: string): PathPattern {
  try {
    return parsePattern(text, { ignoreCase, negation: true });
  } catch (error) {
    throw new HoldfastError('USAGE', { problem: `${what}: ${messageOf(error)}` }, { cause: error });
  }
}
