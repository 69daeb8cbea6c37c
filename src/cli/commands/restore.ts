import { resolve } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { backupArgumentHelp } from '../choose-backup.ts';
import { claimRestoreOptions, restoreSetOptions } from '../claim-options.ts';
import { defineCommand, longName, type OptionValues, text } from '../command.ts';
import { folderRestoreOptions, refuseFolderOptions } from '../folder-restore-options.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  dir: text('--dir <path>', 'restore into this folder, which is made if needed, instead of a claim'),
  ...folderRestoreOptions,
  ...claimRestoreOptions,
  ...restoreSetOptions,
  ...filterOptions,
};
type Given = OptionValues<typeof options>;

export const restoreCommand = defineCommand({
  description:
    'A backup of a claim comes back as a claim with its volume: in its zone, with its size, class and reclaim policy, ' +
    'unless told otherwise. Several claims come back together: by their names, or all of a StatefulSet, a namespace or ' +
    'a run; all are planned before anything is made. With --dir any backup comes back as files, with owners, modes, ' +
    'times and links. A restore that was killed goes on where it was when it is run again: what is right already is ' +
    'not fetched once more.',
  arguments: [
    { name: '[backups...]', help: `${backupArgumentHelp}; with --dir also BACKUP:/FOLDER for a folder of it` },
  ],
  options,
  examples: [
    ['holdfast restore 1f2e3d4c --plan', 'what would be made, where and why'],
    ['holdfast restore 1f2e3d4c --to staging/data --zone eu-1b', 'a claim under another name, in another zone'],
    ['holdfast restore shop/data@2026-11-01', 'a claim as it was at the end of that day'],
    ['holdfast restore shop/data shop/media --plan', 'the newest backups of two claims'],
    ['holdfast restore --stateful-set shop/db', 'a StatefulSet: the claims of all its ordinals'],
    ['holdfast restore --namespace shop --create-namespace', 'every claim of a namespace'],
    ['holdfast restore --namespace shop --at 2026-11-01T06:00', 'the same, as it was then'],
    ['holdfast restore --namespace shop --map-zone eu-1a=us-1a --map-class gp2=gp3', 'in another cluster'],
    ['holdfast restore --run 20261122-184501-3f9a --to-namespace trial', 'all of a run, into another namespace'],
    [
      'holdfast restore shop/data~1 --in-place --delete --plan',
      'a claim as it was one backup ago, its pods stopped meanwhile',
    ],
    ['holdfast restore latest --dir /tmp/shop', 'the newest backup, into a new folder'],
    ['holdfast restore latest:/etc/nginx --dir /tmp/nginx --verify', 'a folder of it, read back and compared'],
    ["holdfast restore latest --dir /tmp/shop --include '*.pdf'", 'some of its files'],
    ['holdfast restore 1f2e3d4c --dir /var/lib/shop --overwrite', 'a certain one, over what is there'],
    ['holdfast restore 1f2e3d4c --dir /var/lib/shop --delete --plan', 'what would make the folder equal to it'],
    ['holdfast restore latest --path /var/lib/shop --dir /tmp/shop', 'the newest backup of a certain folder'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, names, context) => {
    const filter = filterFrom(given);
    if (given.dir === undefined) refuseFolderOptions({ ...given, delete: given.delete && !given.inPlace });
    else refuseClaimOptions(given);
    const [name, ...others] = names;
    if (isOfSeveral(given) || others.length > 0 || name === undefined) {
      if (given.dir !== undefined || given.abandon || given.inPlace) throw oneAtATime(given);
      const { restoreSeveral } = await import('../restore-set.ts');
      await restoreSeveral({ names, filter, options: given }, context);
      return;
    }
    if (given.inPlace) {
      const { restoreIntoExisting } = await import('../restore-in-place.ts');
      await restoreIntoExisting({ name, filter, options: given }, context);
      return;
    }
    if (given.dir === undefined && given.abandon) {
      const { abandonClaimRestore } = await import('../abandon-restore.ts');
      await abandonClaimRestore({ name, filter, options: given }, context);
      return;
    }
    if (given.dir === undefined) {
      const { restoreToClaim } = await import('../claim-restore.ts');
      await restoreToClaim({ name, filter, options: given }, context);
      return;
    }
    const { restoreIntoFolder } = await import('../folder-restore.ts');
    await restoreIntoFolder({ name, target: resolve(given.dir), plan: given.plan, options: given, filter }, context);
  },
});

/** Options that only a restore of several claims knows. */
function isOfSeveral({ statefulSet, run, at, toNamespace, skipExisting, parallel }: Given): boolean {
  return [statefulSet, run, at, toNamespace, parallel].some((value) => value !== undefined) || skipExisting;
}

function oneAtATime({ dir, abandon }: Given): HoldfastError {
  const way = dir !== undefined ? '--dir' : abandon ? '--abandon' : '--in-place';
  return new HoldfastError('USAGE', { problem: `${way} takes one backup` });
}

/** `--dir` with an option that only a claim has would leave a wish unheard. */
function refuseClaimOptions(given: Given): void {
  const unheard = [
    ...(['to', 'zone', 'storageClass', 'size', 'createNamespace', 'abandon', 'inPlace'] as const),
    ...(['statefulSet', 'run', 'at', 'toNamespace', 'skipExisting', 'parallel'] as const),
  ];
  const first = unheard.find((name) => given[name] !== undefined && given[name] !== false);
  if (first === undefined) return;
  throw new HoldfastError('USAGE', { problem: `${longName(options[first].flags)} is for claims, not for --dir` });
}
