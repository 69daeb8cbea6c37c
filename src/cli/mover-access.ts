/**
 * What movers in a cluster are started with: which image, and how they get at the repository.
 */

import type { MoverWishes } from '../backup/plan-mover.ts';
import { moverSettingsOf, moverWishesOf } from '../backup/policy-mover.ts';
import { HoldfastError } from '../base/errors.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import type { BackupMoverOptionValues, MoverOptionValues } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { readCredentials, repositoryUrl } from './config.ts';

type GivenSettings = Pick<MoverOptionValues, 'moverImage' | 'imagePullSecret'> & Partial<BackupMoverOptionValues>;

/** Flags come before the policy, and that before the environment. */
export function moverSettings(
  given: GivenSettings,
  { settings }: CommandContext,
  policy?: BackupPolicy,
): MoverSettings {
  const said = policy === undefined ? {} : moverSettingsOf(policy);
  const { imagePullSecret, moverSecurity: security, moverServiceAccount: serviceAccountName, queue: queueName } = given;
  const image = given.moverImage ?? said.image ?? settings.moverImage;
  if (image === undefined) {
    const problem = 'No image for the mover was named: give --mover-image or set HOLDFAST_MOVER_IMAGE';
    throw new HoldfastError('USAGE', { problem });
  }
  return {
    ...said,
    image,
    ...(imagePullSecret.length === 0 ? {} : { imagePullSecrets: imagePullSecret }),
    ...(security === undefined ? {} : { security }),
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
    ...(queueName === undefined ? {} : { queueName }),
  };
}

/** In whose namespace movers of backups run: by the flags, else by the policy. */
export function moverWishes(
  { moverNamespace, ownNamespace, claimSecret }: BackupMoverOptionValues,
  { settings }: CommandContext,
  policy?: BackupPolicy,
): MoverWishes {
  const own = ownNamespace ?? settings.ownNamespace;
  const said = policy === undefined ? {} : moverWishesOf(policy, own);
  return {
    moverNamespace: moverNamespace === undefined ? said.moverNamespace : moverNamespace === 'own' ? own : undefined,
    claimSecretName: claimSecret ?? said.claimSecretName,
  };
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
