/** rustic's mark in the config: files may be added, none may be removed. */
import { HoldfastError } from '../base/errors.ts';
import type { Repository } from './repository.ts';

/** `consequence` is told to the user: "no backup may be replaced". Throws REPOSITORY_APPEND_ONLY. */
export function refuseAppendOnly({ config, url }: Pick<Repository, 'config' | 'url'>, consequence: string): void {
  if (config.append_only) throw new HoldfastError('REPOSITORY_APPEND_ONLY', { url, consequence });
}
