import type { MoverJob } from '../../base/mover-protocol.ts';
import { type Command, defineCommand } from '../command.ts';

export const moverBackupCommand = moverCommand('backup', 'Reads the volume that is mounted into a repository.');
export const moverRestoreCommand = moverCommand('restore', 'Writes a backup into the volume that is mounted.');

/** What the Jobs run that Holdfast makes; everything it needs is in the environment of its pod. */
function moverCommand(kind: MoverJob['kind'], description: string): Command {
  return defineCommand({
    description: `${description} Holdfast starts this in pods of its own; its job is in HOLDFAST_JOB_FILE.`,
    options: {},
    examples: [[`HOLDFAST_JOB_FILE=/etc/holdfast/job/job.json holdfast mover ${kind}`, 'as a Job starts it']],
    exitCodes: [3, 10, 11, 12],
    run: async (_options, _args, { settings, signal, endWith }) => {
      const [{ runMover }, { jsonLog }] = await Promise.all([
        import('../../volume/mover.ts'),
        import('../../base/log.ts'),
      ]);
      const log = await jsonLog(process.stdout);
      const { env } = settings;
      endWith(await runMover(kind, { env, log, signal, answerFile: env.HOLDFAST_ANSWER_FILE }));
    },
  });
}
