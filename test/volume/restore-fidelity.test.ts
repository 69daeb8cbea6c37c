/** Judged by rsync, getfacl, getcap and stat, which know nothing of how we read and write. */
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openRepository } from '../../src/repository/repository.ts';
import { findSnapshot } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { judged } from '../fixtures/independent-judges.ts';
import { makeTree } from '../fixtures/make-tree.ts';
import { describeWith, notRun, testWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { newScene, password, type Scene } from './restore-scene.ts';

/** What makeTree does not have: links of odd bytes with owners, hard links of everything that may have several names. */
function makeHardTree(source: string): void {
  // The top of a snapshot has no attributes of its own, so everything is a folder below.
  mkdirSync(source);
  makeTree(join(source, 'all'), { smallFiles: 20, rawLinkTargets: false });
  const shell = (script: string) => execFileSync('bash', ['-c', script], { cwd: join(source, 'all') });
  shell(`
    mkdir far; ln links/first far/first; ln names/plain far/plain; ln -P links/to-file far/to-file; ln specials/fifo far/fifo
    ln specials/null far/null
    touch -h -d '2001-02-03 04:05:06.123456789' links/dangling far
    chown 1111:2222 far; chmod 3777 far
    mkdir far/sub; setfacl -m u:77:rx,m::rw far/sub; setfacl -d -m g:88:rwx far/sub; touch far/sub/inherits
    cp /bin/true far/capable; setcap cap_net_raw,cap_sys_ptrace=eip far/capable
    cp /bin/true far/setuid; chown 5:6 far/setuid; chmod 6755 far/setuid
    setfattr -n trusted.dir -v x far; setfattr -n security.other -v y far/setuid; setfattr -h -n trusted.link -v z links/dangling
    truncate -s 30M far/holes; printf x | dd of=far/holes bs=1 seek=20000000 conv=notrunc status=none
  `);
}

/** restic 0.14 keeps no attributes of links, and makes hard links of files only. */
const notOfRestic = /links\/(dangling|to-file)|specials\/(fifo|null)|far\/(to-file|fifo|null)/;

const hasRsync = (() => {
  try {
    execFileSync('rsync', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describeWith('root', 'everything that a folder can hold', () => {
  if (!hasRsync) {
    notRun('judged by rsync, getfacl, getcap and stat', 'there is no rsync on the PATH');
    return;
  }
  let scene: Scene;
  beforeAll(async () => {
    scene = await newScene(makeHardTree);
  });

  test('comes back from our backup by our restore', async () => {
    const summary = await scene.restore({ workers: 2 });
    expect(summary).toMatchObject({ errors: [], warnings: [] });
    expect(judgedAll(scene, scene.target)).toEqual([]);
    expect(lstatSync(join(scene.target, 'all', 'far', 'holes')).blocks).toBeLessThan(200);
  });

  test('comes back where something else was under every name', async () => {
    const target = await tempDir();
    execFileSync(
      'bash',
      [
        '-c',
        `
      find . -mindepth 1 -type d -printf '%P\\0' | xargs -0 -I{} mkdir -p '${target}/{}'
      find . -mindepth 1 ! -type d -printf '%P\\0' | xargs -0 -I{} ln -s /etc/passwd '${target}/{}'
      cd '${target}'; find . -type d -exec chmod 0311 {} + -exec setfattr -n user.old -v x {} + -exec setfacl -d -m u:9:rwx {} +
    `,
      ],
      { cwd: scene.source },
    );
    const before = lstatSync('/etc/passwd');
    expect((await scene.restore({ target, overwrite: 'always' })).errors).toEqual([]);
    expect(judgedAll(scene, target)).toEqual([]);
    expect(lstatSync('/etc/passwd')).toMatchObject({ mtimeMs: before.mtimeMs, mode: before.mode, uid: before.uid });
  });

  testWith('restic', 'comes back from our backup by restic', async () => {
    const target = join(await tempDir(), 'target');
    await restic(['restore', 'latest', '--target', target], {
      env: { RESTIC_REPOSITORY: scene.url, RESTIC_PASSWORD: password },
    });
    expect(judgedAll(scene, target, notOfRestic)).toEqual([]);
  });

  testWith('restic', "comes back from restic's backup by us", async () => {
    const url = join(await tempDir(), 'repository');
    const env = { RESTIC_REPOSITORY: url, RESTIC_PASSWORD: password };
    await restic(['init'], { env });
    await restic(['backup', '.'], { env, cwd: scene.source });
    const repository = await openRepository(await openStore(url), password);
    const target = join(await tempDir(), 'target');
    const snapshot = await findSnapshot(repository, 'latest');
    expect((await restoreFolder(repository, { snapshot, target })).errors).toEqual([]);
    expect(judgedAll(scene, target, notOfRestic)).toEqual([]);
  });
});

function judgedAll({ source }: Scene, target: string, but?: RegExp): string[] {
  return judged(join(source, 'all'), join(target, 'all'), but);
}
