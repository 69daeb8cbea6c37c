/** Finds the loop devices that stand on files of a folder, also through one another. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand, tryCommand } from './commands.ts';

interface LoopDevice {
  readonly name: string;
  readonly 'back-file': string | null;
  readonly 'back-ino': number | null;
}

/**
 * Uppermost first. For a raw block volume the kubelet sets its own device upon the driver's; its file then is the
 * bind-mounted device node, known by name only while it is mounted, but always by its inode.
 */
export async function loopsOf(folder: string): Promise<string[]> {
  const output = await runCommand('losetup', ['--list', '--json', '--output', 'NAME,BACK-FILE,BACK-INO']);
  const all = output.trim() === '' ? [] : (JSON.parse(output) as { loopdevices: LoopDevice[] }).loopdevices;
  const found = all.filter((loop) => loop['back-file']?.startsWith(`${folder}/`));
  for (const lower of found) {
    const { ino } = await stat(lower.name);
    const upper = all.filter((loop) => Number(loop['back-ino']) === ino && isDeviceFile(loop['back-file']));
    found.push(...upper.filter((loop) => !found.includes(loop)));
  }
  return found.map((loop) => loop.name).reverse();
}

function isDeviceFile(path: string | null): boolean {
  return path === '/' || path === null || /^\/(dev\/)?loop\d+/.test(path);
}

/** Devices that are gone already are no failure; whether all are gone is for findLeftovers to say. */
export async function detachLoops(names: readonly string[]): Promise<void> {
  for (const name of names) await tryCommand('losetup', ['--detach', name]);
  // The kernel finishes a detachment after the call has returned.
  await sleep(100);
}
