/** Empties the volume of a restore that did not come to its end, so that the next try begins with nothing. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes everything in the folder but `lost+found`, which belongs to the file system. Stays within the folder. */
export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder, { encoding: 'buffer' })) {
    if (name.toString() === 'lost+found') continue;
    await rm(Buffer.concat([Buffer.from(join(folder, '/')), name]), { recursive: true });
  }
}
