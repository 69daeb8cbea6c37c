/** `holdfast backup --dir`: one folder becomes one backup. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { Repository } from '../repository/repository.ts';
import { findSnapshot } from '../repository/snapshots.ts';
import type { BackupOptions } from '../volume/backup.ts';
import { type ClaimParts, partsOfClaim } from './claim-folder.ts';
import type { CommandContext } from './command.ts';
import { excludeRules } from './exclude-options.ts';
import { type BackupRequest, labelsFrom, reportBackup, runWatched } from './watched-backup.ts';

export async function backUpFolder(
  given: BackupRequest & { readonly dir: string },
  context: CommandContext,
): Promise<void> {
  // Loaded while the password is tried.
  const engine = import('../volume/backup.ts');
  const path = resolve(given.dir);
  const source = await realFolder(path);
  const { parent, skipIfUnchanged, ignoreInode, ignoreCtime, as } = given;
  const exclude = await excludeRules(given, context.settings.env);
  const common = {
    ...labelsFrom(given, context),
    source,
    paths: [path],
    exclude,
    skipIfUnchanged,
    ignoreInode,
    ignoreCtime,
  };
  const summary = await runWatched(context, given.plan, async (repository, run) =>
    (await engine).backupFolder(repository, {
      ...withClaim(common, as && (await partsOfClaim(repository, { ...given, as }))),
      ...run,
      ...(await parentOption(repository, parent)),
    }),
  );
  reportBackup(path, summary, given.plan, context.output);
}

function withClaim(common: BackupOptions, parts: ClaimParts | undefined): BackupOptions {
  if (!parts) return common;
  const patterns = [...(common.exclude?.patterns ?? []), ...(parts.exclude?.patterns ?? [])];
  return { ...common, ...parts, tags: [...common.tags, ...parts.tags], exclude: { ...common.exclude, patterns } };
}

async function parentOption(
  repository: Repository,
  parent: string | undefined,
): Promise<Pick<BackupOptions, 'parentId'>> {
  if (parent === undefined) return {};
  return { parentId: parent === 'none' ? null : (await findSnapshot(repository, parent)).id };
}

/** A link to a folder is followed, as in restic; the backup is named as it was asked for. */
async function realFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path, reason: messageOf(error) }, { cause: error });
  }
}
