/** A file of a repository, or a blob in it, that is not what it must be. Each kind has a code of its own. */
import type { ErrorCode } from './error-catalog.ts';
import { HoldfastError } from './errors.ts';

export interface FileName {
  /** `index`, `pack`, `tree blob`, … */
  readonly kind: string;
  readonly name: string;
}

const codes: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['config', 'CONFIG_DAMAGED'],
  ['key', 'KEY_DAMAGED'],
  ['snapshot', 'SNAPSHOT_DAMAGED'],
  ['index', 'INDEX_DAMAGED'],
  ['lock', 'LOCK_DAMAGED'],
  ['pack', 'PACK_DAMAGED'],
  ['tree', 'TREE_DAMAGED'],
  ['tree blob', 'TREE_DAMAGED'],
]);

/** isHoldfastError(error, 'FILE_DAMAGED') holds for all of them. */
export function damagedFile({ kind, name }: FileName, reason: string, cause?: unknown): HoldfastError {
  const options = cause === undefined ? undefined : { cause };
  return new HoldfastError(codes.get(kind) ?? 'FILE_DAMAGED', { kind, name, reason }, options);
}
