/**
 * What movers in a cluster are started with: which image, and how they get at the repository.
 */
import { HoldfastError } from '../base/errors.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { MoverOptionValues } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { readCredentials, repositoryUrl } from './config.ts';

export function moverSettings(
  { moverImage, imagePullSecret }: MoverOptionValues,
  { settings }: CommandContext,
): MoverSettings {
  const image = moverImage ?? settings.moverImage;
  if (image === undefined) {
    const problem = 'No image for the mover was named: give --mover-image or set HOLDFAST_MOVER_IMAGE';
    throw new HoldfastError('USAGE', { problem });
  }
  return { image, imagePullSecrets: imagePullSecret };
}

/** With neither a Secret nor leave to send one, the engine refuses with CREDENTIALS_MISSING. */
export async function repositoryAccess(
  { repositorySecret, sendCredentials }: MoverOptionValues,
  { settings }: CommandContext,
): Promise<RepositoryAccess> {
  const url = repositoryUrl(settings);
  if (repositorySecret !== undefined && sendCredentials) {
    throw new HoldfastError('USAGE', { problem: 'Give either --repository-secret or --send-credentials, not both' });
  }
  if (repositorySecret !== undefined) return { url, secretName: repositorySecret };
  return sendCredentials ? { url, credentials: await readCredentials(settings) } : { url };
}
