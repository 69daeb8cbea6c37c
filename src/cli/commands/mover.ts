import { HoldfastError } from '../../base/errors.ts';
import { jsonLog } from '../../base/log.ts';
import { runMover } from '../../volume/mover.ts';
import { defineCommand } from '../command.ts';

export const moverCommand = defineCommand({
  description:
    "Runs in the pod of a Job that a backup or restore made, never by hand: its job is in HOLDFAST_JOB_FILE, the pod's " +
    'volume is what it reads or writes, and its answer is left in HOLDFAST_ANSWER_FILE.',
  arguments: [{ name: '<kind>', help: 'backup or restore' }],
  options: {},
  examples: [['holdfast mover backup', 'as the Job of a backup does']],
  exitCodes: [3, 10, 11, 12],
  run: async (_, [kind], { settings, output, signal, endWith }) => {
    if (kind !== 'backup' && kind !== 'restore') {
      throw new HoldfastError('USAGE', { problem: `A mover does a backup or a restore, not "${kind}"` });
    }
    const log = await jsonLog(output.stdout, { level: settings.verbose ? 'debug' : 'info' });
    const answerFile = settings.moverAnswerFile;
    endWith(await runMover(kind, { env: settings.env, log, signal, answerFile }));
  },
});
