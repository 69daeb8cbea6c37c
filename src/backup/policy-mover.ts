/** What a policy says about the movers of its claims. Pure. */
import type { MoverSettings } from '../cluster/mover-pod.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import type { MoverWishes } from './plan-mover.ts';

/** Only what the policy does say. */
export function moverSettingsOf({ spec }: BackupPolicy): Partial<MoverSettings> {
  const { namespace, claimSecretName, ...settings } = spec.mover ?? {};
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** `ownNamespace`: the one that `own` stands for. */
export function moverWishesOf({ spec }: BackupPolicy, ownNamespace: string): MoverWishes {
  const { namespace, claimSecretName } = spec.mover ?? {};
  return { moverNamespace: namespace === 'own' ? ownNamespace : undefined, claimSecretName };
}
