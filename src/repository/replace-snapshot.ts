/**
 * Snapshots in place of others. A snapshot that is there already is not written again, so that a command which was
 * killed between the new and the removal of the old one makes no second copy when it is run again.
 */
import { refuseAppendOnly } from './append-only.ts';
import { encodeSnapshot, type Snapshot, type StoredSnapshot } from './format/snapshot.ts';
import { type Repository, saveFile } from './repository.ts';

/** Throws REPOSITORY_APPEND_ONLY where no snapshot may be removed. */
export function requireReplaceable(repository: Repository): void {
  refuseAppendOnly(repository, 'no backup may be replaced');
}

export class SnapshotSaver {
  readonly #repository: Repository;
  readonly #idsByContent: Map<string, string>;

  /** `present`: all snapshots of the repository. */
  constructor(repository: Repository, present: readonly StoredSnapshot[]) {
    this.#repository = repository;
    this.#idsByContent = new Map(present.map(({ id, ...snapshot }) => [contentOf(snapshot), id]));
  }

  /** The id of a snapshot that says this, if there is one. */
  find(snapshot: Snapshot): string | undefined {
    return this.#idsByContent.get(contentOf(snapshot));
  }

  /** Stores the snapshot unless it is there; its id. */
  async save(snapshot: Snapshot): Promise<string> {
    const known = this.find(snapshot);
    if (known !== undefined) return known;
    const id = await saveFile(this.#repository, 'snapshots', encodeSnapshot(snapshot));
    this.#idsByContent.set(contentOf(snapshot), id);
    return id;
  }
}

function contentOf(snapshot: Snapshot): string {
  return encodeSnapshot(snapshot).toString();
}
