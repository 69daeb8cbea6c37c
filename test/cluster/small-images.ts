/** The two images that tests need beside Holdfast's: pause for the kubelet, busybox for the test's pods. */
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from './binaries.ts';
import { runCommand } from './commands.ts';
import { pauseImage } from './node-files.ts';
import { type ImageDescription, writeOciArchive } from './oci-archive.ts';

export const busyboxImage = 'localhost/busybox:1';

const pauseSource = join(import.meta.dirname, 'images/pause.c');
/** Debian's busybox-static. */
const busybox = '/bin/busybox';

/** The paths of the OCI archives; made once and kept in the cache. */
export async function ensureSmallImages(): Promise<string[]> {
  const pause = await ensureImage(pauseSource, { name: pauseImage, entrypoint: ['/pause'] }, fillPause);
  const shell = await ensureImage(busybox, { name: busyboxImage }, fillBusybox);
  return [pause, shell];
}

async function ensureImage(source: string, image: ImageDescription, fill: (root: string) => Promise<void>) {
  const hash = createHash('sha256').update(JSON.stringify(image)).update(fill.toString());
  const key = hash
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder(), 'images');
  const archive = join(folder, `${image.name.replaceAll(/\W/g, '-')}-${key}.tar`);
  const exists = await access(archive).then(
    () => true,
    () => false,
  );
  if (exists) return archive;
  await mkdir(folder, { recursive: true });
  const root = await mkdtemp(join(tmpdir(), 'holdfast-image-'));
  try {
    await fill(root);
    await runCommand('chmod', ['755', root]);
    await writeOciArchive(archive, root, image);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return archive;
}

async function fillPause(root: string): Promise<void> {
  await runCommand('gcc', ['-static', '-Os', '-s', '-o', join(root, 'pause'), pauseSource]);
}

async function fillBusybox(root: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'tmp', 'root', 'var']) await mkdir(join(root, folder));
  await runCommand('chmod', ['1777', join(root, 'tmp')]);
  await copyFile(busybox, join(root, 'bin/busybox'));
  const applets = (await runCommand(busybox, ['--list'])).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
}
