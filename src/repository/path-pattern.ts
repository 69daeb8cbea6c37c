/**
 * restic's patterns for paths, as `find` and the exclusion of files have them: the wildcards of a shell within one
 * name, `**` for any number of names. A pattern that begins with `/` is matched from the root, any other one from any
 * folder. What lies below a match matches, too. In a list of exclusions, `!` before a pattern takes back what those before it matched.
 */
import { isUtf8 } from 'node:buffer';

export interface PathPattern {
  readonly negated: boolean;
  /** Names of the pattern; '/' first where it is anchored at the root. */
  readonly parts: readonly PatternPart[];
}

/** null: any number of names. */
type PatternPart = readonly Glob[] | null;

type Glob =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'one' }
  | { readonly kind: 'many' }
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

const rootMark = '/';

export interface PatternOptions {
  /** Upper and lower case are the same; then the paths have to be compared with the same option. */
  readonly ignoreCase?: boolean;
  /** `!` at the beginning takes back; else it is a character like any other. */
  readonly negation?: boolean;
}

/** Throws an Error that says what is wrong with the pattern. */
export function parsePattern(text: string, { ignoreCase = false, negation = false }: PatternOptions = {}): PathPattern {
  const negated = negation && text.startsWith('!');
  const given = negated ? text.slice(1) : text;
  const pattern = cleanPath(ignoreCase ? given.toLowerCase() : given);
  if (pattern === '') throw new Error(`the pattern "${text}" is empty`);
  return { negated, parts: splitNames(pattern).map((part) => (part === '**' ? null : parseGlob(part))) };
}

/** The names of an absolute path, for matching. */
export function pathNames(path: Buffer, { ignoreCase = false }: PatternOptions = {}): string[] {
  const text = decodePath(path);
  return splitNames(ignoreCase ? text.toLowerCase() : text);
}

export interface PatternVerdict {
  readonly matched: boolean;
  /** Whether something below the path may match, so that a search has to go on there. */
  readonly mayMatchBelow: boolean;
}

/** The verdict of a list of patterns over a path; later patterns correct earlier ones. */
export function matchPatterns(patterns: readonly PathPattern[], names: readonly string[]): PatternVerdict {
  let matched = false;
  let mayMatchBelow = false;
  for (const pattern of patterns) {
    const isMatch = matchParts(pattern.parts, names);
    if (pattern.negated) {
      matched &&= !isMatch;
      mayMatchBelow &&= !isMatch;
    } else {
      matched ||= isMatch;
      mayMatchBelow ||= matchesBeginning(pattern.parts, names);
    }
  }
  return { matched, mayMatchBelow };
}

/** Whether a path below `names` can match at all: only an anchored pattern says no. */
function matchesBeginning(parts: readonly PatternPart[], names: readonly string[]): boolean {
  if (!isAnchored(parts)) return true;
  const wild = parts.indexOf(null);
  const known = wild >= 0 && names.length >= wild ? names.slice(0, wild) : names;
  return matchParts(parts.slice(0, Math.min(known.length, parts.length)), known);
}

function matchParts(parts: readonly PatternPart[], names: readonly string[]): boolean {
  const wild = parts.indexOf(null);
  if (wild >= 0) return matchWild(parts, wild, names);
  if (parts.length === 0) return names.length === 0;
  const first = names[0] === rootMark && !isAnchored(parts) ? 1 : 0;
  const last = isAnchored(parts) ? 0 : names.length - parts.length;
  if (parts.length > names.length) return false;
  for (let at = last; at >= first; at--) {
    if (parts.every((part, offset) => part !== null && matchName(part, names[at + offset] ?? ''))) return true;
  }
  return false;
}

/** The first `**` stands for no name, for one, for two… */
function matchWild(parts: readonly PatternPart[], wild: number, names: readonly string[]): boolean {
  const before = parts.slice(0, wild);
  const after = parts.slice(wild + 1);
  for (let count = 0; before.length + count + after.length <= names.length; count++) {
    if (matchParts([...before, ...Array<PatternPart>(count).fill(anyName), ...after], names)) return true;
  }
  return false;
}

const anyName: readonly Glob[] = [{ kind: 'many' }];

function isAnchored(parts: readonly PatternPart[]): boolean {
  const [first] = parts[0] ?? [];
  return first?.kind === 'text' && first.text === rootMark;
}

/** Like a shell: after a mismatch only the last `*` is extended, so that the effort stays within length × length. */
function matchName(globs: readonly Glob[], name: string): boolean {
  const characters = Array.from(name);
  let at = 0;
  let glob = 0;
  let star = -1;
  let starAt = 0;
  while (at < characters.length) {
    const step = globs[glob];
    if (step?.kind === 'many') {
      star = glob;
      starAt = at;
      glob += 1;
    } else if (step && matchCharacter(step, characters[at] ?? '')) {
      at += 1;
      glob += 1;
    } else if (star >= 0) {
      starAt += 1;
      at = starAt;
      glob = star + 1;
    } else return false;
  }
  return globs.slice(glob).every(({ kind }) => kind === 'many');
}

function matchCharacter(glob: Glob, character: string): boolean {
  if (glob.kind === 'text') return glob.text === character;
  if (glob.kind !== 'set') return glob.kind === 'one' && character !== rootMark;
  const code = character.codePointAt(0) ?? 0;
  const isIn = glob.ranges.some(([from, to]) => code >= codeOf(from) && code <= codeOf(to));
  return isIn !== glob.negated;
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function parseGlob(text: string): Glob[] {
  const characters = Array.from(text);
  const globs: Glob[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? '';
    at += 1;
    if (character === '*') globs.push({ kind: 'many' });
    else if (character === '?') globs.push({ kind: 'one' });
    else if (character === '[') {
      const { set, end } = parseSet(text, characters, at);
      globs.push(set);
      at = end;
    } else if (character === '\\') {
      globs.push({ kind: 'text', text: escaped(text, characters, at) });
      at += 1;
    } else globs.push({ kind: 'text', text: character });
  }
  return globs;
}

/** `[a-z]`, `[^x]`; `\` before a character takes its meaning away. `at` is behind the bracket. */
function parseSet(text: string, characters: readonly string[], at: number): { set: Glob; end: number } {
  let next = at;
  const negated = characters[next] === '^';
  if (negated) next += 1;
  const ranges: [string, string][] = [];
  while (characters[next] !== ']' || ranges.length === 0) {
    const from = setCharacter(text, characters, next);
    next = from.end;
    let to = from;
    if (characters[next] === '-') {
      to = setCharacter(text, characters, next + 1);
      next = to.end;
    }
    ranges.push([from.character, to.character]);
  }
  return { set: { kind: 'set', negated, ranges }, end: next + 1 };
}

function setCharacter(text: string, characters: readonly string[], at: number): { character: string; end: number } {
  const character = characters[at];
  if (character === '\\') return { character: escaped(text, characters, at + 1), end: at + 2 };
  if (character === undefined || character === '-' || character === ']') {
    throw new Error(`the pattern "${text}" has a [ that is not well closed`);
  }
  return { character, end: at + 1 };
}

function escaped(text: string, characters: readonly string[], at: number): string {
  const character = characters[at];
  if (character === undefined) throw new Error(`the pattern "${text}" ends with a \\`);
  return character;
}

function splitNames(path: string): string[] {
  const [first = '', ...others] = path.split('/');
  const names = others.filter((name) => name !== '');
  return [first === '' ? rootMark : first, ...names];
}

/** Without empty names, `.` and `..`, as Go's filepath.Clean. */
function cleanPath(path: string): string {
  if (path === '') return '';
  const rooted = path.startsWith('/');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.length > 0 && names.at(-1) !== '..') names.pop();
    else if (!rooted) names.push(name);
  }
  return (rooted ? '/' : '') + names.join('/') || '.';
}

/** In a name that is not UTF-8, the bytes beyond ASCII become lone surrogates, which no real text contains. */
function decodePath(path: Buffer): string {
  if (isUtf8(path)) return path.toString();
  const names = path.toString('latin1').split('/');
  return names.map((name) => decodeName(Buffer.from(name, 'latin1'))).join('/');
}

function decodeName(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  const characters = Array.from(name, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte));
  return characters.join('');
}
