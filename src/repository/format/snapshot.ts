/** Snapshot files: one backup each (restic format v2, "Snapshots"). Field names are restic's. */
import { damaged, Fields, isObject, parseObject } from './document.ts';
import { goJson } from './go-json.ts';
import { parseTime } from './time.ts';

export interface SnapshotSummary {
  readonly backup_start: string;
  readonly backup_end: string;
  readonly files_new: number;
  readonly files_changed: number;
  readonly files_unmodified: number;
  readonly dirs_new: number;
  readonly dirs_changed: number;
  readonly dirs_unmodified: number;
  readonly data_blobs: number;
  readonly tree_blobs: number;
  readonly data_added: number;
  readonly data_added_packed: number;
  readonly total_files_processed: number;
  readonly total_bytes_processed: number;
}

/** rustic's mark against removal. */
export type DeleteMark = 'NotSet' | 'Never' | { readonly After: string };

export interface Snapshot {
  /** RFC 3339 with the offset of the place where it was made. */
  readonly time: string;
  readonly parent?: string;
  /** The blob id of the root tree. */
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname?: string;
  readonly username?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly excludes?: readonly string[];
  readonly tags?: readonly string[];
  /** The id of the first snapshot that this one replaces. */
  readonly original?: string;
  readonly program_version?: string;
  readonly summary?: SnapshotSummary;
  readonly delete?: DeleteMark;
  /** Fields of other tools, written back unchanged. */
  readonly other?: Readonly<Record<string, unknown>>;
}

export interface StoredSnapshot extends Snapshot {
  /** The name of its file. */
  readonly id: string;
}

/** In the order in which restic writes them; empty ones are left out. */
const fieldOrder = [
  'time',
  'parent',
  'tree',
  'paths',
  'hostname',
  'username',
  'uid',
  'gid',
  'excludes',
  'tags',
  'original',
  'program_version',
  'summary',
  'delete',
] as const;
const alwaysWritten: ReadonlySet<string> = new Set(['time', 'tree', 'paths']);

export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const document: Record<string, unknown> = {};
  for (const field of fieldOrder) {
    const value = snapshot[field];
    if (alwaysWritten.has(field) || !isEmpty(value)) document[field] = value;
  }
  return Buffer.from(goJson({ ...document, ...snapshot.other }));
}

/** What Go's omitempty leaves out. */
function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || value === 0 || (Array.isArray(value) && value.length === 0);
}

/** Throws FILE_DAMAGED. */
export function decodeSnapshot(bytes: Uint8Array, id: string): StoredSnapshot {
  const document = { kind: 'snapshot', name: id };
  const object = parseObject(bytes, document);
  const fields = new Fields(object, document);
  const time = fields.need('time', fields.text('time'));
  if (parseTime(time) === undefined) throw damaged(document, `its time "${time}" is no time`);
  const other = Object.entries(object).filter(([field]) => !(fieldOrder as readonly string[]).includes(field));
  return {
    id,
    time,
    tree: fields.need('tree', fields.id('tree')),
    paths: fields.texts('paths') ?? [],
    ...present({
      parent: fields.id('parent'),
      hostname: fields.text('hostname'),
      username: fields.text('username'),
      uid: fields.integer('uid'),
      gid: fields.integer('gid'),
      excludes: fields.texts('excludes'),
      tags: fields.texts('tags'),
      original: fields.id('original'),
      program_version: fields.text('program_version'),
      summary: isObject(object.summary) ? (object.summary as unknown as SnapshotSummary) : undefined,
      delete: deleteMark(object.delete),
      other: other.length > 0 ? Object.fromEntries(other) : undefined,
    }),
  };
}

function deleteMark(value: unknown): DeleteMark | undefined {
  if (value === 'NotSet' || value === 'Never') return value;
  if (isObject(value) && typeof value.After === 'string') return { After: value.After };
  // A mark that is not understood is kept as the strictest one.
  return value === undefined || value === null ? undefined : 'Never';
}

type Present<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> };

function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}
