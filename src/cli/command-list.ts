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
    name: 'init',
    summary: 'Create a repository in a folder or on object storage.',
    group: 'Repository:',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  {
    name: 'list',
    summary: 'List the backups of a repository, oldest first.',
    group: 'Backups:',
    load: async () => (await import('./commands/list.ts')).listCommand,
  },
];
