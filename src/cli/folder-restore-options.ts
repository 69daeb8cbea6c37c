/** The options of `restore --dir`, apart from the work: the command's help loads nothing of the engine. */
import { HoldfastError } from '../base/errors.ts';
import { flag, longName, type Option, type OptionValues, texts } from './command.ts';
import type { Environment } from './config.ts';
import { readPatterns } from './exclude-options.ts';

/** As restic has them; src/volume/restore-existing.ts says what they do. */
const modes = ['always', 'if-changed', 'if-newer', 'never'] as const;
type Mode = (typeof modes)[number];

const overwrite: Option<Mode | undefined> = {
  flags: '--overwrite [mode]',
  help:
    'with --dir: the folder may have content. Of what is there under the same name is corrected or replaced: always ' +
    '(what differs), if-changed (the same, but equal size and time count as equal), if-newer (what is older), never',
  repeatable: false,
  read: (given) => {
    if (given === undefined) return undefined;
    if (given === true) return 'always';
    const mode = modes.find((one) => one === given);
    if (mode !== undefined) return mode;
    throw new HoldfastError('USAGE', { problem: `--overwrite ${String(given)}: expected ${modes.join(', ')}` });
  },
};

export const folderRestoreOptions = {
  overwrite,
  delete: flag(
    '--delete',
    'with --dir or --in-place: also delete what is not in the backup, as far as it is selected; see --plan',
  ),
  verify: flag('--verify', 'with --dir: read everything back in the end, and compare it with the backup'),
  include: texts('-i, --include <pattern>', 'with --dir: only what matches, as in restic: *, ?, [a-z], **, !'),
  iinclude: texts('--iinclude <pattern>', 'the same, upper and lower case being equal'),
  includeFile: texts('--include-file <file>', 'patterns from a file, one a line; # begins a comment'),
  iincludeFile: texts('--iinclude-file <file>', 'the same, upper and lower case being equal'),
  exclude: texts('-e, --exclude <pattern>', 'with --dir: all but what matches'),
  iexclude: texts('--iexclude <pattern>', 'the same, upper and lower case being equal'),
  excludeFile: texts('--exclude-file <file>', 'patterns from a file, one a line; # begins a comment'),
  iexcludeFile: texts('--iexclude-file <file>', 'the same, upper and lower case being equal'),
};
export type FolderRestoreOptionValues = OptionValues<typeof folderRestoreOptions>;

/** The rules, as src/volume/restore-selection.ts takes them. Throws USAGE. */
export async function selectionRules(given: FolderRestoreOptionValues, env: Environment) {
  const all = async (patterns: readonly string[], files: readonly string[]): Promise<string[]> => {
    const fromFiles = await Promise.all(files.map((path) => readPatterns(path, env)));
    return [...patterns, ...fromFiles.flat()];
  };
  return {
    include: await all(given.include, given.includeFile),
    includeIgnoringCase: await all(given.iinclude, given.iincludeFile),
    exclude: await all(given.exclude, given.excludeFile),
    excludeIgnoringCase: await all(given.iexclude, given.iexcludeFile),
  };
}

/** Claims are restored whole. Throws USAGE. */
export function refuseFolderOptions(given: FolderRestoreOptionValues): void {
  for (const [name, { flags }] of Object.entries(folderRestoreOptions)) {
    const value = given[name as keyof FolderRestoreOptionValues];
    if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue;
    throw new HoldfastError('USAGE', { problem: `${longName(flags)} is for --dir, not for claims` });
  }
}

/** `latest:/etc/nginx`: a backup, and the folder of it that is meant. A time has no slash behind its colon. */
export function splitBackupPath(name: string): { readonly backup: string; readonly folder: string | undefined } {
  const colon = name.indexOf(':/');
  return colon < 0
    ? { backup: name, folder: undefined }
    : { backup: name.slice(0, colon), folder: name.slice(colon + 1) };
}
