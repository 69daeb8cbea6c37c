/** Files of one job of a restore, kept open between the uses of it: not more than a process may have. */
import { closeSync } from 'node:fs';

const mostOpenFiles = 64;

export class OpenFiles {
  /** In the order in which they were opened. */
  readonly #open = new Map<number, number>();

  /** The file's descriptor; `open` is called where it is not open, and may find that it is not to be opened. */
  fd<Opened extends number | undefined>(file: number, open: () => Opened): number | Opened {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const fd = open();
    if (fd === undefined) return fd;
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= mostOpenFiles) this.close(oldest);
    this.#open.set(file, fd);
    return fd;
  }

  close(file: number): void {
    const fd = this.#open.get(file);
    this.#open.delete(file);
    if (fd !== undefined) closeSync(fd);
  }

  closeAll(): void {
    for (const file of this.#open.keys()) this.close(file);
  }
}
