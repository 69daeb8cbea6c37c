/**
 * Builds the Holdfast image from the project's Dockerfile, without a registry, and brings it into a running cluster.
 *
 *   node test/cluster/image.ts [--import [STATE FILE]]     builds when sources changed; --import loads it on all nodes
 */
import { createHash } from 'node:crypto';
import { access, cp, glob, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBaseImage } from './base-image.ts';
import { cacheFolder } from './binaries.ts';
import { runCommand } from './commands.ts';
import { layoutOf, standingCluster } from './layout.ts';
import { withLock } from './lock.ts';
import { importImage } from './node.ts';
import { type ClusterState, layoutOfState, readState } from './state.ts';

export const holdfastImage = 'localhost/holdfast:test';

const project = join(import.meta.dirname, '../..');
const manifests = ['package.json', 'package-lock.json'];
const recipe = ['Dockerfile', '.dockerignore'];
const sources = ['cmd', 'src'];

type Progress = (line: string) => void;

/** The path of an image archive (docker's format) with the image of the sources as they are now. */
export async function ensureHoldfastImage(progress: Progress): Promise<string> {
  const key = await contentKey([...manifests, ...recipe], sources);
  const archive = join(cacheFolder(), 'images', `holdfast-${key}.tar`);
  if (await exists(archive)) return archive;
  return withLock(join(cacheFolder(), 'image.lock'), async () => {
    if (await exists(archive)) return archive;
    progress('building the Holdfast image');
    await build(archive, progress);
    await removeOthers(archive);
    return archive;
  });
}

async function build(archive: string, progress: Progress): Promise<void> {
  const base = await ensureBaseImage(progress);
  const packages = await ensurePackageFolder(progress);
  const context = join(cacheFolder(), 'image-context');
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  try {
    for (const name of [...manifests, ...recipe, ...sources]) {
      await cp(join(project, name), join(context, name), { recursive: true, preserveTimestamps: true });
    }
    // Links instead of 300 MB of copies.
    await runCommand('cp', ['-al', join(packages, 'node_modules'), context]);
    if (!(await hasImage(base.name))) {
      const id = await buildah('pull', '--quiet', `oci-archive:${base.archive}`);
      await buildah('tag', id.trim(), base.name);
    }
    const origin = ['--build-arg', `BASE_IMAGE=${base.name}`, '--pull-never'];
    const own = ['--isolation', 'chroot', '--layers', '--force-rm'];
    await buildah('bud', ...own, ...origin, '--tag', holdfastImage, context);
    const unfinished = `${archive}.tmp`;
    await rm(unfinished, { force: true });
    // Not an OCI archive, which buildah insists on compressing: half of the time of a build.
    await buildah('push', holdfastImage, `docker-archive:${unfinished}:${holdfastImage}`);
    await rename(unfinished, archive);
    // Layers of earlier builds that no image needs any more.
    await buildah('rmi', '--prune');
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

function buildah(...args: string[]): Promise<string> {
  const folder = join(cacheFolder(), 'buildah');
  const storage = ['--storage-driver', 'overlay', '--root', folder, '--runroot', join(folder, 'run')];
  return runCommand('buildah', [...storage, ...args]);
}

async function hasImage(name: string): Promise<boolean> {
  return buildah('inspect', '--type', 'image', name).then(
    () => true,
    () => false,
  );
}

/** The packages that Holdfast runs with, installed from the lock file; a folder of their own for each lock file. */
async function ensurePackageFolder(progress: Progress): Promise<string> {
  const folder = join(cacheFolder(), `packages-${await contentKey(['package-lock.json'], [])}`);
  if (await exists(folder)) return folder;
  progress('installing the packages of the image');
  const unfinished = `${folder}.tmp`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  for (const name of manifests) await cp(join(project, name), join(unfinished, name));
  await runCommand('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], { cwd: unfinished });
  await rename(unfinished, folder);
  return folder;
}

async function contentKey(files: readonly string[], folders: readonly string[]): Promise<string> {
  const names = [...files];
  for (const folder of folders) {
    for await (const entry of glob(`${folder}/**/*`, { cwd: project, withFileTypes: true })) {
      if (entry.isFile()) names.push(join(entry.parentPath, entry.name).slice(project.length + 1));
    }
  }
  const hash = createHash('sha256');
  for (const name of names.sort()) hash.update(`\n${name}\n`).update(await readFile(join(project, name)));
  return hash.digest('hex').slice(0, 16);
}

async function removeOthers(archive: string): Promise<void> {
  const folder = join(archive, '..');
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.startsWith('holdfast-') && path !== archive) await rm(path, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Builds what has changed and loads it on all nodes of a running cluster. */
export async function importHoldfastImage(state: ClusterState, progress: Progress): Promise<void> {
  const archive = await ensureHoldfastImage(progress);
  const { nodes } = layoutOfState(state);
  await Promise.all(nodes.map((node) => importImage(node, { ctr: state.ctr }, archive)));
  progress(`${holdfastImage} is on ${nodes.map(({ name }) => name).join(', ')}`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { import: { type: 'boolean' } } });
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  if (!values.import) {
    process.stdout.write(`${await ensureHoldfastImage(progress)}\n`);
    return;
  }
  const stateFile = positionals[0] ?? process.env.HOLDFAST_TEST_CLUSTER ?? layoutOf(standingCluster).stateFile;
  await importHoldfastImage(await readState(stateFile), progress);
}

if (import.meta.main) await main();
