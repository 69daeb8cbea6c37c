/** `backup --dir PATH --as NAMESPACE/CLAIM`: a folder that is the content of a claim, such as one mounted in a pod. */
import { HoldfastError } from '../base/errors.ts';
import type { LayoutChoice } from '../base/layouts.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupOptions } from '../volume/backup.ts';
import { shapeOf } from '../volume/continue-claim.ts';

export interface ClaimOfFolder {
  readonly as: { readonly namespace: string; readonly name: string };
  readonly layout?: LayoutChoice | undefined;
  /** As given for the backup: another program's shape has its own. */
  readonly host?: string | undefined;
}

export type ClaimParts = Pick<BackupOptions, 'tags' | 'paths'> &
  Partial<Pick<BackupOptions, 'host' | 'place' | 'exclude' | 'parentId' | 'tagComplete'>>;

/** What the backup takes from the claim, in place of what it takes from the folder. Throws what shapeOf throws, USAGE. */
export async function partsOfClaim(repository: Repository, given: ClaimOfFolder): Promise<ClaimParts> {
  const { namespace, name: claim } = given.as;
  const shape = await shapeOf(repository, { namespace, claim, layout: given.layout ?? 'auto' });
  const tags = [`namespace=${namespace}`, `claim=${claim}`];
  if (shape === undefined) {
    const place = { dirs: [namespace, claim], name: 'volume', files: [] };
    return { tags, paths: [`/${namespace}/${claim}`], place, tagComplete: true };
  }
  const { layout, ...parts } = shape;
  if (given.host !== undefined && given.host !== parts.host) {
    throw new HoldfastError('USAGE', { problem: `Backups in the layout of ${layout} have the host ${parts.host}` });
  }
  return { ...parts, tags: [...tags, ...parts.tags], tagComplete: true };
}
