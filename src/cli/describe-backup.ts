/**
 * A backup as scripts and people see it: the fields of `list --json`, and the cells of the tables.
 */
import type { Layout } from '../base/layouts.ts';
import { claimOf, isInStorage, isOwnTag, type NamedSnapshot } from '../repository/claim-layout.ts';

/** An element of `holdfast list --json`. Fields without a value are left out. */
export interface BackupEntry {
  readonly id: string;
  /** RFC 3339, as stored. */
  readonly time: string;
  readonly host: string;
  readonly username?: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /** Where a claim of a cluster was backed up. */
  readonly namespace?: string;
  readonly claim?: string;
  /** In which program's way, where not in Holdfast's own. */
  readonly layout?: Exclude<Layout, 'holdfast'>;
  /** `incomplete` where files could not be read. */
  readonly state?: string;
  readonly parent?: string;
  readonly tree: string;
  readonly program?: string;
  readonly files?: number;
  /** What a restore writes. */
  readonly sizeBytes?: number;
  /** New content of this backup, before compression, and what the repository grew by. */
  readonly addedBytes?: number;
  readonly storedBytes?: number;
  /** Why no rule may remove it. */
  readonly held?: readonly string[];
  /** Of a backup whose data is a CSI snapshot in a storage system: whether it is still there. */
  readonly dataInStorage?: StorageState;
}

export type StorageState = 'present' | 'gone' | 'unknown';

/** `stored`: what the cluster says of a snapshot; unknown where nobody could ask it. */
export function describeBackup(
  snapshot: NamedSnapshot,
  held?: readonly string[],
  stored: StorageState = 'unknown',
): BackupEntry {
  const { id, time, hostname = '', paths, tags = [], tree, summary } = snapshot;
  const { namespace, claim, layout } = claimOf(snapshot) ?? {};
  return {
    id,
    time,
    host: hostname,
    paths,
    tags,
    tree,
    ...present({
      username: snapshot.username,
      namespace,
      claim,
      layout: layout === 'holdfast' ? undefined : layout,
      state: tagValue(tags, 'state'),
      parent: snapshot.parent,
      program: snapshot.program_version,
      files: summary?.total_files_processed,
      sizeBytes: summary?.total_bytes_processed,
      addedBytes: summary?.data_added,
      storedBytes: summary?.data_added_packed,
      held,
      dataInStorage: isInStorage(snapshot) ? stored : undefined,
    }),
  };
}

/** What was backed up, in a few words: `shop/data`, or the paths. */
export function subjectOf({ namespace, claim, paths }: BackupEntry): string {
  return namespace !== undefined && claim !== undefined ? `${namespace}/${claim}` : paths.join(', ');
}

export function isIncomplete({ state }: BackupEntry): boolean {
  return state === 'incomplete';
}

export function shownTags({ tags, state, held, dataInStorage }: BackupEntry): string[] {
  return [
    ...(dataInStorage === undefined ? [] : [`CSI snapshot, ${dataInStorage}`]),
    ...(state === 'incomplete' ? ['incomplete'] : []),
    ...(held === undefined ? [] : ['held']),
    ...tags.filter((tag) => !isOwnTag(tag)),
  ];
}

/** The value of a tag `name=value`. */
export function tagValue(tags: readonly string[], name: string): string | undefined {
  return tags.find((tag) => tag.startsWith(`${name}=`))?.slice(name.length + 1);
}

type Present<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> };

function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}
