/** A Debian base for the Holdfast image, made with debootstrap where no registry is at hand; kept in the cache. */
import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from './binaries.ts';
import { runCommand } from './commands.ts';
import { writeOciArchive } from './oci-archive.ts';

const suite = 'bookworm';
/** What the Dockerfile would otherwise install over the network. */
const packages = ['ca-certificates', 'libatomic1', 'libstdc++6'];
/** Nothing reads these in a container. */
const ballast = ['var/cache/apt', 'var/lib/apt/lists', 'var/log', ...['doc', 'man', 'locale', 'info'].map(shared)];

function shared(name: string): string {
  return `usr/share/${name}`;
}

export interface BaseImage {
  readonly name: string;
  readonly archive: string;
}

export async function ensureBaseImage(progress: (line: string) => void): Promise<BaseImage> {
  const key = createHash('sha256')
    .update(JSON.stringify([suite, packages, ballast]))
    .digest('hex')
    .slice(0, 16);
  const name = `localhost/holdfast-base:${key}`;
  const folder = join(cacheFolder(), 'images');
  const archive = join(folder, `base-${key}.tar`);
  const exists = await access(archive).then(
    () => true,
    () => false,
  );
  if (exists) return { name, archive };
  progress('making the Debian base image, once: about a minute');
  await mkdir(folder, { recursive: true });
  const root = await mkdtemp(join(tmpdir(), 'holdfast-base-'));
  try {
    await runCommand('debootstrap', ['--variant=minbase', `--include=${packages.join(',')}`, suite, root]);
    for (const path of ballast) await rm(join(root, path), { recursive: true, force: true });
    for (const path of ballast) await mkdir(join(root, path), { recursive: true });
    await runCommand('chmod', ['755', root]);
    await writeOciArchive(archive, root, { name });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return { name, archive };
}
