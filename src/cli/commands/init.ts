import { HoldfastError } from '../../base/errors.ts';
import type { RepositoryConfig } from '../../repository/format/config.ts';
import { initRepository } from '../../repository/repository.ts';
import { openStore } from '../../store/open-store.ts';
import { type CommandContext, defineCommand, type OptionValues, parsed, text } from '../command.ts';
import { readPassword, repositoryUrl } from '../config.ts';
import { withRepository } from '../open-repository.ts';
import { sourceContext, sourcePasswordOption } from '../source-repository.ts';

const options = {
  chunker: parsed(
    '--chunker <name>',
    'how files are cut: gear is fast; rabin is for repositories that restic will write to as well (default: gear)',
    parseChunker,
  ),
  format: parsed(
    '--format <version>',
    'version of the format: 1 knows no compression, and is for restic before 0.14 (default: 2)',
    parseVersion,
  ),
  from: text('--from <address>', 'cut files as this repository does, so that copies between both share their data'),
  fromPasswordFile: sourcePasswordOption,
};

export const initCommand = defineCommand({
  description:
    'The password encrypts everything in it. There is no way around a lost one: keep a copy where the backups are not.',
  options,
  examples: [
    ['holdfast init --repo /srv/backups --password-file ~/.holdfast-password', 'in a folder'],
    ['holdfast init --repo s3:https://s3.example.com/bucket/shop', 'on object storage, password from the environment'],
    [
      'holdfast init --repo /srv/copy --from /srv/backups --from-password-file ~/.holdfast-password',
      'for copies of the backups in another repository',
    ],
  ],
  exitCodes: [10, 12],
  run: async (given, _, context) => {
    const { settings, output } = context;
    const url = repositoryUrl(settings);
    const password = await readPassword(settings);
    const cutLike = await readSource(given, context);
    const store = await openStore(url, { env: settings.env });
    try {
      const { chunker, format: version = 2 } = given;
      const { id, config } = await initRepository(store, password, {
        version,
        ...(chunker === undefined ? {} : { chunker }),
        ...(cutLike === undefined ? {} : { cutLike }),
      });
      const made = { id, repository: store.url, version, chunker: config.holdfast_chunker ? 'gear' : 'rabin' };
      if (output.json) return output.value({ type: 'initialized', ...made });
      output.line(`created repository ${id.slice(0, 10)} at ${store.url}`);
      output.note('Keep the password safe: without it nobody can read the backups, not even you.');
    } finally {
      await store.close();
    }
  },
});

/** The config of the repository that files are to be cut like. */
async function readSource(
  { from, fromPasswordFile, chunker }: OptionValues<typeof options>,
  context: CommandContext,
): Promise<RepositoryConfig | undefined> {
  if (from === undefined) {
    if (fromPasswordFile !== undefined)
      throw new HoldfastError('USAGE', { problem: '--from-password-file goes with --from' });
    return undefined;
  }
  if (chunker !== undefined) {
    throw new HoldfastError('USAGE', { problem: '--from decides how files are cut, and does not go with --chunker' });
  }
  const source = sourceContext(context, { repository: from, passwordFile: fromPasswordFile });
  return withRepository(source, async ({ config }) => config);
}

function parseChunker(name: string): 'gear' | 'rabin' {
  if (name === 'gear' || name === 'rabin') return name;
  throw new Error('expected gear or rabin');
}

function parseVersion(given: string): 1 | 2 {
  if (given === '1') return 1;
  if (given === '2') return 2;
  throw new Error('expected 1 or 2');
}
