/** The second repository of a command: the one that is read from. */
import { HoldfastError } from '../base/errors.ts';
import { type CommandContext, text } from './command.ts';
import { type SourceOptions, sourceSettings } from './config.ts';

export const sourcePasswordOption = text(
  '--from-password-file <path>',
  'file with the password of that repository (or $HOLDFAST_FROM_PASSWORD_FILE, $HOLDFAST_FROM_PASSWORD)',
);

/** The context for what is done with the source. Throws USAGE, SOURCE_PASSWORD_MISSING where one of both is not given. */
export function sourceContext(context: CommandContext, options: SourceOptions): CommandContext {
  const settings = sourceSettings(context.settings, options);
  if (settings.repository === undefined) {
    const problem = 'No source was named: give --from-repo ADDRESS or set HOLDFAST_FROM_REPOSITORY';
    throw new HoldfastError('USAGE', { problem });
  }
  if (settings.passwordSource.kind === 'none') throw new HoldfastError('SOURCE_PASSWORD_MISSING');
  return { ...context, settings };
}
