import { mkdir, mkdtemp, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { checkRepository } from '../../repository/check.ts';
import type { Repository } from '../../repository/repository.ts';
import { upgradeRepository } from '../../repository/upgrade.ts';
import { type CommandContext, defineCommand, flag, text } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatCount, shortId } from '../output.ts';
import { createProgress } from '../progress.ts';

export const upgradeCommand = defineCommand({
  description:
    'Lifts a repository from version 1 of the format, which knows no compression, to version 2. It is checked first; ' +
    'then its config is replaced, and nothing else is touched: new data is compressed from then on, and each prune ' +
    'compresses the folders that it finds uncompressed. Programs older than restic 0.14 cannot open it any more.',
  options: {
    plan: flag('--plan', 'check the repository and say what would be done, and change nothing'),
    keepConfig: text('--keep-config <file>', 'keep the config as it was in this file (default: a new temporary one)'),
  },
  examples: [
    ['holdfast upgrade --plan', 'can it be done'],
    ['holdfast upgrade --keep-config ./config-before', 'and keep a copy of what it changes'],
  ],
  exitCodes: [10, 11, 12],
  run: async ({ plan, keepConfig }, _, context) => {
    const { output } = context;
    await withLockedRepository(
      context,
      async (repository, signal, lock) => {
        const { id, version } = repository;
        if (version === 2) {
          if (output.json) return output.value({ type: 'plan', id, from: 2, to: 2 });
          return output.line(`repository ${id.slice(0, 10)} has version 2 already`);
        }
        await requireSound(repository, signal, context);
        if (plan) {
          if (output.json) return output.value({ type: 'plan', id, from: 1, to: 2 });
          return output.line(`repository ${id.slice(0, 10)} is sound, and would change from version 1 to version 2`);
        }
        let copy = '';
        const saveCopy = async (config: Buffer): Promise<void> => {
          copy = keepConfig ?? join(await mkdtemp(join(tmpdir(), 'holdfast-upgrade-')), 'config');
          await writeNewFile(copy, config);
        };
        await upgradeRepository(repository, { saveCopy, confirmLock: () => lock.confirm() });
        if (output.json) return output.value({ type: 'upgraded', id, from: 1, to: 2, configCopy: copy });
        output.line(`repository ${id.slice(0, 10)} has version 2 now`);
        output.note(`The config as it was is in ${copy}. \`holdfast prune\` compresses the folders of old backups.`);
      },
      { exclusive: !plan },
    );
  },
});

/** Throws CHECK_FAILED after it has named all that is wrong. */
async function requireSound(repository: Repository, signal: AbortSignal, { output }: CommandContext): Promise<void> {
  const progress = createProgress(output);
  const { errors, errorCount } = await checkRepository(repository, {
    onProgress: ({ step, done }) => progress.update(() => `checking ${step}: ${formatCount(done)}`),
    signal,
  }).finally(progress.clear);
  for (const { kind, id, message } of errors) {
    output.problem(`error: ${kind} ${shortId(id)}: ${message}`, { type: 'check-error', kind, id, message });
  }
  if (errorCount > 0) throw new HoldfastError('CHECK_FAILED', { count: errorCount });
}

/** Durable before it returns. Throws SOURCE_UNREADABLE where it cannot be written. */
async function writeNewFile(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const problem = `The config cannot be kept in ${path}: ${messageOf(error)}`;
    throw new HoldfastError('USAGE', { problem }, { cause: error });
  }
}
