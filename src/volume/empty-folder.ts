/** Empties the volume of a restore that did not come to its end, so that the next try begins with nothing. */
import { closeSync, constants, fstatSync, openSync, readdirSync } from 'node:fs';
import { OpenFolders } from './open-folders.ts';
import { removeSurplus, surplusBelow } from './restore-delete.ts';
import { Selection } from './restore-selection.ts';
import { lostAndFound } from './restore-target.ts';

/**
 * Removes everything in the folder but `lost+found`, which belongs to the file system. Stays within the folder, also where
 * it is deeper than a path can be. Throws an Error for the first thing that cannot be removed.
 */
export async function emptyFolder(folder: string): Promise<void> {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const folders = new OpenFolders(fd);
  const onError = (path: string, message: string): never => {
    throw new Error(`${folder}/${path}: ${message}`);
  };
  const context = { folders, selection: new Selection(), device: fstatSync(fd, { bigint: true }).dev, onError };
  try {
    for (const name of readdirSync(folder, { encoding: 'latin1' })) {
      if (name === lostAndFound) continue;
      for (const surplus of surplusBelow(context, '', name)) removeSurplus(context, surplus);
    }
  } finally {
    folders.close();
    closeSync(fd);
  }
}
