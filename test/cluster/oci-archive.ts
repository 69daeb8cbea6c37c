/** Packs a folder as a container image with one layer: a tar in the OCI image layout, as containerd imports it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runCommand } from './commands.ts';

export interface ImageDescription {
  /** With tag, such as localhost/busybox:1. */
  readonly name: string;
  readonly entrypoint?: readonly string[];
}

const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Writes the archive whole or not at all. The folder's files all become root's, with time 0. */
export async function writeOciArchive(archive: string, root: string, image: ImageDescription): Promise<void> {
  const work = `${archive}.${process.pid}.tmp`;
  const blobs = join(work, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  try {
    const layer = await addLayer(blobs, root);
    const config = await addJson(blobs, {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Env: [searchPath], Entrypoint: image.entrypoint },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      // As many entries as layers: buildah counts them.
      history: [{ created_by: 'holdfast test images' }],
    });
    const manifest = await addJson(blobs, {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
    });
    const entry = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      annotations: { 'io.containerd.image.name': image.name },
    };
    await writeFile(join(work, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(work, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
    await runCommand('tar', ['-C', work, '-cf', `${work}.tar`, 'oci-layout', 'index.json', 'blobs']);
    await rename(`${work}.tar`, archive);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(`${work}.tar`, { force: true });
  }
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

async function addLayer(blobs: string, root: string): Promise<Blob> {
  const layer = join(dirname(blobs), 'layer');
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  await runCommand('tar', ['-C', root, ...plain, '-cf', layer, '.']);
  const hash = createHash('sha256');
  await pipeline(createReadStream(layer), hash);
  const digest = hash.digest('hex');
  const { size } = await stat(layer);
  await rename(layer, join(blobs, digest));
  return { digest: `sha256:${digest}`, size };
}

async function addJson(blobs: string, content: object): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(content));
  const digest = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(blobs, digest), bytes);
  return { digest: `sha256:${digest}`, size: bytes.length };
}
