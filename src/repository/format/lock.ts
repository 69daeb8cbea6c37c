/** Lock files: who works on the repository (restic format v2, "Locks"). */
import { damaged, Fields, parseObject } from './document.ts';
import { goJson } from './go-json.ts';
import { parseTime } from './time.ts';

export interface LockFile {
  /** RFC 3339: when it was taken or last refreshed, by the clock of its holder. */
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid?: number;
  readonly gid?: number;
}

export function encodeLock(lock: LockFile): Buffer {
  const { time, exclusive, hostname, username, pid } = lock;
  const owner = { ...(lock.uid ? { uid: lock.uid } : {}), ...(lock.gid ? { gid: lock.gid } : {}) };
  return Buffer.from(goJson({ time, exclusive, hostname, username, pid, ...owner }));
}

/** Throws FILE_DAMAGED. */
export function decodeLock(bytes: Uint8Array, id: string): LockFile {
  const document = { kind: 'lock', name: id };
  const fields = new Fields(parseObject(bytes, document), document);
  const time = fields.need('time', fields.text('time'));
  if (parseTime(time) === undefined) throw damaged(document, `its time "${time}" is no time`);
  const uid = fields.integer('uid');
  const gid = fields.integer('gid');
  return {
    time,
    exclusive: fields.flag('exclusive') ?? false,
    hostname: fields.text('hostname') ?? '',
    username: fields.text('username') ?? '',
    pid: fields.integer('pid') ?? 0,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}
