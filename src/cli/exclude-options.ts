/** What `backup --dir` leaves out: the options, and the files with patterns that they name. */
import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { parseSize } from '../base/units.ts';
import { flag, type OptionValues, parsed, texts } from './command.ts';
import type { Environment } from './config.ts';

export const excludeOptions = {
  exclude: texts('-e, --exclude <pattern>', 'with --dir: leave out what matches, as in restic: *, ?, [a-z], **, !'),
  iexclude: texts('--iexclude <pattern>', 'the same, upper and lower case being equal'),
  excludeFile: texts('--exclude-file <file>', 'patterns from a file, one a line; # begins a comment'),
  iexcludeFile: texts('--iexclude-file <file>', 'the same, upper and lower case being equal'),
  excludeCaches: flag('--exclude-caches', 'leave out what is in folders with a CACHEDIR.TAG'),
  excludeIfPresent: texts(
    '--exclude-if-present <name[:header]>',
    'leave out what is in folders with such a file, which may have to begin with a text',
  ),
  excludeLargerThan: parsed('--exclude-larger-than <size>', 'leave out larger files, as 500Mi', parseSize),
  oneFileSystem: flag('-x, --one-file-system', 'stay on the file system of the folder; others leave an empty folder'),
};
export type ExcludeOptionValues = OptionValues<typeof excludeOptions>;

/** restic's mark of folders with caches (https://bford.info/cachedir/). */
const cacheMark = { fileName: 'CACHEDIR.TAG', header: 'Signature: 8a477f597d28d172789f06886806bc55' };

/** The rules, as src/volume/exclude.ts takes them. Throws USAGE. */
export async function excludeRules(given: ExcludeOptionValues, env: Environment) {
  const fromFiles = async (paths: readonly string[]): Promise<string[]> =>
    (await Promise.all(paths.map((path) => readPatterns(path, env)))).flat();
  return {
    patterns: [...given.exclude, ...(await fromFiles(given.excludeFile))],
    patternsIgnoringCase: [...given.iexclude, ...(await fromFiles(given.iexcludeFile))],
    ifPresent: [...given.excludeIfPresent.map(parseMark), ...(given.excludeCaches ? [cacheMark] : [])],
    oneFileSystem: given.oneFileSystem,
    ...(given.excludeLargerThan === undefined ? {} : { largerThanBytes: given.excludeLargerThan }),
  };
}

/** `$NAME` and `${NAME}` stand for variables of the environment, `$$` for `$`: as in restic. */
export async function readPatterns(path: string, env: Environment): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new HoldfastError('USAGE', { problem: `Cannot read ${path}: ${messageOf(error)}` }, { cause: error });
  }
  const lines = text.split('\n').map((line) => line.trim());
  const patterns = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return patterns.map((line) =>
    line.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar: string | undefined, braced: string, plain: string) =>
      dollar === undefined ? (env[braced ?? plain] ?? '') : '$',
    ),
  );
}

/** `NAME` or `NAME:BEGINNING`. */
function parseMark(given: string) {
  const colon = given.indexOf(':');
  const fileName = colon < 0 ? given : given.slice(0, colon);
  if (fileName === '' || fileName.includes('/')) {
    throw new HoldfastError('USAGE', { problem: `--exclude-if-present ${given}: expected the name of a file` });
  }
  return colon < 0 ? { fileName } : { fileName, header: given.slice(colon + 1) };
}
