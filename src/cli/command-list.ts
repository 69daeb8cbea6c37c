/**
 * Every command with its one sentence. A command's own file is loaded only when it is run or asked for help.
 */
import type { Command } from './command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  /** Not in the list of commands: for Holdfast's own Jobs. */
  readonly hidden?: true;
  load(): Promise<Command>;
}

export const commandList: readonly CommandEntry[] = [
  {
    name: 'backup',
    summary: 'Back up claims of a cluster, or a folder.',
    group: 'Backups:',
    load: async () => (await import('./commands/backup.ts')).backupCommand,
  },
  {
    name: 'restore',
    summary: 'Restore a backup into a claim or a folder.',
    group: 'Backups:',
    load: async () => (await import('./commands/restore.ts')).restoreCommand,
  },
  {
    name: 'list',
    summary: 'List the backups of a repository, oldest first.',
    group: 'Backups:',
    load: async () => (await import('./commands/list.ts')).listCommand,
  },
  {
    name: 'show',
    summary: 'Show everything that is known of a backup.',
    group: 'Backups:',
    load: async () => (await import('./commands/show.ts')).showCommand,
  },
  {
    name: 'ls',
    summary: 'List what is in a backup.',
    group: 'Backups:',
    load: async () => (await import('./commands/ls.ts')).lsCommand,
  },
  {
    name: 'find',
    summary: 'Find files by name in all backups.',
    group: 'Backups:',
    load: async () => (await import('./commands/find.ts')).findCommand,
  },
  {
    name: 'dump',
    summary: 'Write a file or folder of a backup to stdout.',
    group: 'Backups:',
    load: async () => (await import('./commands/dump.ts')).dumpCommand,
  },
  {
    name: 'diff',
    summary: 'Show what differs between two backups.',
    group: 'Backups:',
    load: async () => (await import('./commands/diff.ts')).diffCommand,
  },
  {
    name: 'forget',
    summary: 'Remove backups that no rule keeps.',
    group: 'Backups:',
    load: async () => (await import('./commands/forget.ts')).forgetCommand,
  },
  {
    name: 'hold',
    summary: 'Keep backups, whatever the rules say.',
    group: 'Backups:',
    load: async () => (await import('./commands/hold.ts')).holdCommand,
  },
  {
    name: 'release',
    summary: 'Leave held backups to the rules again.',
    group: 'Backups:',
    load: async () => (await import('./commands/release.ts')).releaseCommand,
  },
  {
    name: 'tag',
    summary: 'Give backups other tags.',
    group: 'Backups:',
    load: async () => (await import('./commands/tag.ts')).tagCommand,
  },
  {
    name: 'copy',
    summary: 'Copy backups from another repository into this one.',
    group: 'Backups:',
    load: async () => (await import('./commands/copy.ts')).copyCommand,
  },
  {
    name: 'init',
    summary: 'Create a repository in a folder or on object storage.',
    group: 'Repository:',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    name: 'upgrade',
    summary: 'Lift a repository to version 2 of the format.',
    group: 'Repository:',
    load: async () => (await import('./commands/upgrade.ts')).upgradeCommand,
  },
  {
    name: 'check',
    summary: 'Check that every backup is complete and intact.',
    group: 'Repository:',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    name: 'stats',
    summary: 'Count what backups hold and take in the repository.',
    group: 'Repository:',
    load: async () => (await import('./commands/stats.ts')).statsCommand,
  },
  {
    name: 'prune',
    summary: 'Delete the data that no backup needs any more.',
    group: 'Repository:',
    load: async () => (await import('./commands/prune.ts')).pruneCommand,
  },
  {
    name: 'repair index',
    summary: 'Make the index list what the packs hold.',
    group: 'Repository:',
    load: async () => (await import('./commands/repair-index.ts')).repairIndexCommand,
  },
  {
    name: 'repair packs',
    summary: 'Save what can be read of damaged packs.',
    group: 'Repository:',
    load: async () => (await import('./commands/repair-packs.ts')).repairPacksCommand,
  },
  {
    name: 'repair snapshots',
    summary: 'Make whole backups of those that lack data.',
    group: 'Repository:',
    load: async () => (await import('./commands/repair-snapshots.ts')).repairSnapshotsCommand,
  },
  {
    name: 'key list',
    summary: 'List the keys, each with its own password.',
    group: 'Repository:',
    load: async () => (await import('./commands/key.ts')).keyListCommand,
  },
  {
    name: 'key add',
    summary: 'Add a key with another password.',
    group: 'Repository:',
    load: async () => (await import('./commands/key.ts')).keyAddCommand,
  },
  {
    name: 'key remove',
    summary: 'Remove a key.',
    group: 'Repository:',
    load: async () => (await import('./commands/key.ts')).keyRemoveCommand,
  },
  {
    name: 'key passwd',
    summary: 'Change the password.',
    group: 'Repository:',
    load: async () => (await import('./commands/key.ts')).keyPasswdCommand,
  },
  {
    name: 'unlock',
    summary: 'Remove locks that crashed programs left behind.',
    group: 'Repository:',
    load: async () => (await import('./commands/unlock.ts')).unlockCommand,
  },
  {
    name: 'adopt-cluster',
    summary: 'Go on with the backups of the cluster that this one replaces.',
    group: 'In a cluster:',
    load: async () => (await import('./commands/adopt-cluster.ts')).adoptClusterCommand,
  },
  {
    name: 'render cronjob',
    summary: 'Print the manifests that run a policy on its schedule.',
    group: 'In a cluster:',
    load: async () => (await import('./commands/render-cronjob.ts')).renderCronJobCommand,
  },
  {
    name: 'mover',
    summary: "Move one volume's data: the process in a mover's pod.",
    group: 'In a cluster:',
    hidden: true,
    load: async () => (await import('./commands/mover.ts')).moverCommand,
  },
];
