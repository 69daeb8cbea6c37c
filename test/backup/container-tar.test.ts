/** What a foreign tar says is believed only where it can mean nothing worse. */
import { expect, test } from 'vitest';
import { judgeTar, mountsBelow, type TarEnd, tarKindOf } from '../../src/backup/container-tar.ts';

const end = (exitCode: number, stderr = '', stdoutBytes = 10_240): TarEnd => ({ exitCode, stderr, stdoutBytes });
const total = 'Total bytes written: 10240 (10KiB, 3.2MiB/s)\n';

test('the tar programs of the usual images are known by what they say', () => {
  expect(tarKindOf('tar (GNU tar) 1.34\nCopyright (C) 2021 Free Software Foundation, Inc.\n')).toBe('gnu');
  expect(tarKindOf('tar (busybox) 1.36.1\n')).toBe('busybox');
  expect(tarKindOf('bsdtar 3.7.2 - libarchive 3.7.2 zlib/1.2.13\n')).toBe('libarchive');
  expect(tarKindOf('tar 0.1 of somebody\n')).toBeUndefined();
});

test('files that changed or vanished are counted, and every other complaint is missing data', () => {
  const table: readonly (readonly [end: TarEnd, changed: number, vanished: number, problems: readonly string[]])[] = [
    [end(0, total), 0, 0, []],
    [end(1, `tar: ./log: file changed as we read it\n${total}`), 1, 0, []],
    [end(1, `tar: ./tmp: File removed before we read it\n${total}`), 0, 1, []],
    [
      end(
        2,
        `tar: ./a: Cannot stat: No such file or directory\ntar: Exiting with failure status due to previous errors\n`,
      ),
      0,
      1,
      [],
    ],
    [
      end(
        2,
        `tar: ./s: Cannot open: Permission denied\n${total}tar: Exiting with failure status due to previous errors\n`,
      ),
      0,
      0,
      ['./s'],
    ],
    // Filled up with zeros, which were never in the file.
    [end(1, `tar: ./db: File shrank by 512 bytes; padding with zeros\n${total}`), 0, 0, ['./db']],
    [end(1, `tar: ./x: etwas ganz anderes\n${total}`), 0, 0, ['./x']],
    [end(1, total), 0, 0, ['.']],
    [end(0, `tar: ./sock: socket ignored\n${total}`), 0, 0, []],
    // More complaints than were kept.
    [end(1, `tar: ./a: file changed as we read it\n… 900 bytes left out …\n${total}`), 1, 0, ['.']],
  ];
  for (const [given, changed, vanished, problems] of table) {
    const verdict = judgeTar('gnu', given, 'shop/data');
    expect(verdict, given.stderr).toMatchObject({ filesChangedWhileRead: changed, filesVanished: vanished });
    expect(verdict.problems.map(({ path }) => path)).toEqual(problems);
  }
  const busybox = end(1, "tar: can't open './s': Permission denied\ntar: error exit delayed from previous errors\n");
  expect(judgeTar('busybox', busybox, 'shop/data').problems).toEqual([{ path: './s', message: 'Permission denied' }]);
});

test('a tar that was ended, or counts other bytes than have arrived, made no archive', () => {
  const broken = (given: TarEnd) => () => judgeTar('gnu', given, 'shop/data');
  expect(broken(end(137))).toThrow('tar ended with exit code 137');
  expect(broken(end(0, total, 10_239))).toThrow('tar wrote 10240 bytes, and 10239 have arrived');
  expect(broken(end(0, ''))).toThrow('an unknown number of');
});

test('mounts below a folder are found as the kernel lists them', () => {
  const lines = ['/', '/data', '/data/a\\040b', '/data/sub/deep', '/database', '/proc'].map(
    (point, id) => `${id} 1 8:1 / ${point} rw,relatime - ext4 /dev/sda rw`,
  );
  expect(mountsBelow(lines.join('\n'), '/data/')).toEqual(['/data/a b', '/data/sub/deep']);
  expect(mountsBelow(lines.join('\n'), '/elsewhere')).toEqual([]);
});
