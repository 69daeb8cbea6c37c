import { HoldfastError } from '../../base/errors.ts';
import { initRepository } from '../../repository/repository.ts';
import { openStore } from '../../store/open-store.ts';
import { defineCommand, parsed } from '../command.ts';
import { readPassword, repositoryUrl } from '../config.ts';

export const initCommand = defineCommand({
  description:
    'The password encrypts everything in it. There is no way around a lost one: keep a copy where the backups are not.',
  options: {
    chunker: parsed(
      '--chunker <name>',
      'how files are cut: gear is fast; rabin is for repositories that restic will write to as well (default: gear)',
      parseChunker,
    ),
  },
  examples: [
    ['holdfast init --repo /srv/backups --password-file ~/.holdfast-password', 'in a folder'],
    ['holdfast init --repo s3:https://s3.example.com/bucket/shop', 'on object storage, password from the environment'],
  ],
  exitCodes: [12],
  run: async ({ chunker = 'gear' }, _, { settings, output }) => {
    const url = repositoryUrl(settings);
    const password = await readPassword(settings);
    const store = await openStore(url, { env: settings.env });
    try {
      const { id } = await initRepository(store, password, { chunker });
      if (output.json) return output.value({ type: 'initialized', id, repository: store.url, chunker });
      output.line(`created repository ${id.slice(0, 10)} at ${store.url}`);
      output.note('Keep the password safe: without it nobody can read the backups, not even you.');
    } finally {
      await store.close();
    }
  },
});

function parseChunker(name: string): 'gear' | 'rabin' {
  if (name === 'gear' || name === 'rabin') return name;
  throw new HoldfastError('USAGE', { problem: `--chunker ${name}: expected gear or rabin` });
}
