import { HoldfastError } from '../../base/errors.ts';
import { folderOptions, refuseForClaims, refuseForFolder, refuseForStream } from '../backup-options.ts';
import { claimBackupOptions, isSelecting, policyOptions } from '../claim-options.ts';
import { defineCommand, flag } from '../command.ts';

const options = {
  ...folderOptions,
  plan: flag('--plan', 'show what would be done with each claim and why, or with --dir what changed; write nothing'),
  ...policyOptions,
  ...claimBackupOptions,
};

export const backupCommand = defineCommand({
  description:
    'A claim is cut by a CSI snapshot while its pods go on, and moved by a Job in its namespace; without snapshots ' +
    'the Job copies the volume in use. ' +
    'Only what is new or changed since the last backup of the same claim or folder is stored.',
  arguments: [
    { name: '[claims...]', help: 'claims to back up, as NAMESPACE/CLAIM, or CLAIM with -n; or the command, after --' },
  ],
  options,
  examples: [
    ['holdfast backup shop/data --repository-secret holdfast', 'a claim'],
    ['holdfast backup shop/data shop/media --plan', 'what would be done with them, how, where and why'],
    ['holdfast backup shop/kafka-0 shop/kafka-1 --group', 'cut together, at one instant where the storage can'],
    [
      "holdfast backup -n shop -l 'tier in (data,logs)' --repository-secret holdfast",
      'those of a namespace with such labels',
    ],
    ['holdfast backup --retry latest --policy nightly.yaml', 'only what failed in the last run of a policy'],
    ['holdfast backup --policy nightly.yaml', 'every claim that a policy selects, then its retention'],
    ['holdfast backup --dir /var/lib/shop', 'a folder'],
    ['holdfast backup --dir ~/photos --tag holiday --tag 2026', 'with tags'],
    [
      "holdfast backup --dir ~ --exclude '*.tmp' --exclude /home/*/.cache --exclude-caches",
      'without what is not needed',
    ],
    ['holdfast backup --dir /mnt/data --as shop/data --layout volsync', "where VolSync's backups of that claim end"],
    ['holdfast backup --dir /srv --skip-if-unchanged', 'no new backup where nothing changed'],
    ['holdfast backup --dir /srv --plan', 'what would be new and changed, without writing anything'],
    ['pg_dump shop | holdfast backup --stdin --stdin-filename shop.sql', 'what another program writes'],
    [
      'holdfast backup --stdin-from-command --stdin-filename shop.sql -- pg_dump shop',
      'the same, and no backup where that program fails',
    ],
    ['holdfast backup --dir . --json | tail -n 1', 'the summary, for a script'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, claims, context) => {
    const { dir, stdin, stdinFromCommand, policy, policyName, retry } = given;
    const selects = claims.length > 0 || isSelecting(given);
    const byPolicy = policy !== undefined || retry !== undefined;
    requireOneWay([selects || stdinFromCommand, dir !== undefined, stdin, byPolicy]);
    if (stdin || stdinFromCommand) {
      refuseForStream(given);
      if (stdinFromCommand && claims.length === 0) {
        throw new HoldfastError('USAGE', { problem: '--stdin-from-command takes a command after --' });
      }
      const { backUpStream } = await import('../stream-backup.ts');
      await backUpStream(given, stdinFromCommand ? claims : undefined, context);
      return;
    }
    if (dir !== undefined) {
      refuseForFolder(given);
      if (given.layout !== undefined && given.as === undefined) {
        throw new HoldfastError('USAGE', { problem: '--layout is for claims: name the one of this folder with --as' });
      }
      const { backUpFolder } = await import('../folder-backup.ts');
      await backUpFolder({ ...given, dir }, context);
      return;
    }
    refuseForClaims(given);
    if (policy !== undefined && given.group) {
      throw new HoldfastError('USAGE', { problem: 'with --policy, spec.group says what is cut together' });
    }
    if (retry !== undefined) {
      const { retryRun } = await import('../retry-run.ts');
      await retryRun(retry, given, context);
      return;
    }
    if (policy !== undefined) {
      const { backUpByPolicy, readPolicy } = await import('../policy-run.ts');
      await backUpByPolicy(await readPolicy(policy, policyName), given, context);
      return;
    }
    const { backUpClaims } = await import('../claim-backup.ts');
    await backUpClaims(claims, given, context);
  },
});

/** Exactly one of: claims or a command, a folder, standard input, a policy or an earlier run. Throws USAGE. */
function requireOneWay(ways: readonly boolean[]): void {
  const given = ways.filter((is) => is).length;
  if (given === 1) return;
  const problem = given === 0 ? 'Nothing to back up was named: give one of' : 'Give only one of';
  throw new HoldfastError('USAGE', {
    problem: `${problem} NAMESPACE/CLAIM, --namespace, --policy FILE, --retry RUN, --dir PATH, --stdin and --stdin-from-command`,
  });
}
