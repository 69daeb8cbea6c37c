import { HoldfastError } from '../../base/errors.ts';
import { folderOptions, refuseFolderOptions } from '../backup-options.ts';
import { claimBackupOptions, policyOptions } from '../claim-options.ts';
import { defineCommand, flag } from '../command.ts';

const options = {
  ...folderOptions,
  plan: flag('--plan', 'with --dir: show what would be new and changed, and write nothing'),
  ...policyOptions,
  ...claimBackupOptions,
};

export const backupCommand = defineCommand({
  description:
    'A claim is cut by a CSI snapshot while its pods go on, and moved by a Job in its namespace. ' +
    'Only what is new or changed since the last backup of the same claim or folder is stored.',
  arguments: [{ name: '[claims...]', help: 'claims to back up, as NAMESPACE/CLAIM' }],
  options,
  examples: [
    ['holdfast backup shop/data --repository-secret holdfast', 'a claim'],
    ['holdfast backup --policy nightly.yaml', 'every claim that a policy selects, then its retention'],
    ['holdfast backup --dir /var/lib/shop', 'a folder'],
    ['holdfast backup --dir ~/photos --tag holiday --tag 2026', 'with tags'],
    [
      "holdfast backup --dir ~ --exclude '*.tmp' --exclude /home/*/.cache --exclude-caches",
      'without what is not needed',
    ],
    ['holdfast backup --dir /srv --skip-if-unchanged', 'no new backup where nothing changed'],
    ['holdfast backup --dir /srv --plan', 'what would be new and changed, without writing anything'],
    ['holdfast backup --dir . --json | tail -n 1', 'the summary, for a script'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, claims, context) => {
    const { dir, policy, policyName, plan } = given;
    const ways = [claims.length > 0, dir !== undefined, policy !== undefined].filter((is) => is);
    if (ways.length !== 1) {
      const problem = ways.length === 0 ? 'Nothing to back up was named: give one of' : 'Give only one of';
      throw new HoldfastError('USAGE', { problem: `${problem} NAMESPACE/CLAIM, --policy FILE and --dir PATH` });
    }
    if (dir !== undefined) {
      const { backUpFolder } = await import('../folder-backup.ts');
      await backUpFolder({ ...given, dir }, context);
      return;
    }
    refuseFolderOptions(given);
    if (plan) throw new HoldfastError('USAGE', { problem: '--plan is for --dir, not for claims' });
    if (policy !== undefined) {
      const { backUpByPolicy, readPolicy } = await import('../policy-run.ts');
      await backUpByPolicy(await readPolicy(policy, policyName), given, context);
      return;
    }
    const { backUpClaims } = await import('../claim-backup.ts');
    await backUpClaims(claims, given, context);
  },
});
