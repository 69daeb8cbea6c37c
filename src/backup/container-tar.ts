/**
 * The tar program of somebody else's container: which one it is, how it is asked for the whole of a folder, and what its
 * end says of the archive. Pure. Whatever is not known to be harmless counts as missing data.
 */
import { HoldfastError } from '../base/errors.ts';

export type TarKind = 'gnu' | 'busybox' | 'libarchive';

/** How tar ended. */
export interface TarEnd {
  readonly exitCode: number;
  readonly stderr: string;
  readonly stdoutBytes: number;
}

/** What is not in the archive as it should be. */
export interface TarVerdict {
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly filesChangedWhileRead: number;
  readonly filesVanished: number;
  /** For people; nothing of the data is missing. */
  readonly notes: readonly string[];
}

export const tarQuestion: readonly string[] = ['sh', '-c', 'tar --version'];
/** Every mount of the container, as the kernel tells it. */
export const mountsQuestion: readonly string[] = ['cat', '/proc/self/mountinfo'];
/** Blocks, free blocks and their size. */
export function usageQuestion(folder: string): readonly string[] {
  return ['stat', '-f', '-c', '%b %f %S', folder];
}

/** From what `tar --version` said; undefined for a program that is not known. */
export function tarKindOf(answer: string): TarKind | undefined {
  if (/\(GNU tar\)/.test(answer)) return 'gnu';
  if (/busybox/i.test(answer)) return 'busybox';
  if (/^bsdtar|libarchive/m.test(answer)) return 'libarchive';
  return undefined;
}

/**
 * Its messages in the language that is read here. An archive that may be whole waits at its end until it was read: one
 * line on standard input, or the end of that, lets it go (R9.8).
 */
const runTar = 'LC_ALL=C "$@" </dev/null; code=$?; [ $code -gt 2 ] || read -r line; exit $code';

/**
 * Writes the folder to standard output: with numeric owners, and nothing that is mounted below it. GNU tar and libarchive
 * keep extended attributes, nanoseconds and holes; BusyBox keeps none of them.
 */
export function tarCommand(kind: TarKind, folder: string): readonly string[] {
  const of = ['-C', folder, '.'];
  const tar = ['sh', '-c', runTar, 'sh', 'tar', '-c', '-f', '-'];
  switch (kind) {
    case 'gnu': {
      // Times of access change with every reading.
      const format = ['--format=posix', '--pax-option=delete=atime', '--sparse', '--xattrs', '--totals'];
      return [...tar, ...format, '--numeric-owner', '--one-file-system', ...of];
    }
    case 'libarchive':
      return [
        ...tar,
        '--format=pax',
        '--options=pax:hdrcharset=BINARY',
        '--xattrs',
        '--numeric-owner',
        '--one-file-system',
        ...of,
      ];
    case 'busybox':
      return [...tar, ...of];
  }
}

/** The mount points below a folder. */
export function mountsBelow(mountinfo: string, folder: string): string[] {
  const points = mountinfo.split('\n').flatMap((line) => line.split(' ')[4] ?? []);
  const above = folder === '/' ? '/' : `${folder.replace(/\/+$/, '')}/`;
  return points.map(unescapePoint).filter((point) => point.startsWith(above));
}

/**
 * What a tar whose archive came to its end says of it. Throws STREAM_BROKEN where it did not come to its own end, or
 * wrote more or less than has arrived.
 */
export function judgeTar(kind: TarKind, end: TarEnd, name: string): TarVerdict {
  const lines = end.stderr.split('\n').filter((line) => line.trim() !== '');
  if (end.exitCode > 2) {
    const last = lines.at(-1);
    const reason = `tar ended with exit code ${end.exitCode}${last === undefined ? '' : `: ${last}`}`;
    throw new HoldfastError('STREAM_BROKEN', { name, reason });
  }
  if (kind === 'gnu') compareTotals(end, name);
  const heard = lines.map(hear);
  const problems = heard.flatMap((one) => (one.kind === 'problem' ? [{ path: one.path, message: one.message }] : []));
  const isExplained = heard.some(({ kind: of }) => of === 'changed' || of === 'vanished' || of === 'problem');
  if (end.exitCode !== 0 && !isExplained) {
    problems.push({ path: '.', message: `tar ended with exit code ${end.exitCode} and did not say why` });
  }
  return {
    problems,
    filesChangedWhileRead: heard.filter(({ kind: of }) => of === 'changed').length,
    filesVanished: heard.filter(({ kind: of }) => of === 'vanished').length,
    notes: heard.flatMap((one) => (one.kind === 'note' ? [`${one.path}: ${one.message}`] : [])),
  };
}

/** What GNU tar wrote, by its own count. */
function compareTotals({ stderr, exitCode, stdoutBytes }: TarEnd, name: string): void {
  const total = /^Total bytes written: (\d+)/m.exec(stderr)?.[1];
  if (total === undefined && exitCode !== 0) return;
  if (Number(total) === stdoutBytes) return;
  const reason = `tar wrote ${total ?? 'an unknown number of'} bytes, and ${stdoutBytes} have arrived`;
  throw new HoldfastError('STREAM_BROKEN', { name, reason });
}

interface Heard {
  readonly kind: 'changed' | 'vanished' | 'problem' | 'note' | 'nothing';
  readonly path: string;
  readonly message: string;
}

/** One line of standard error: `tar: PATH: MESSAGE`. A shrunk file was filled up with zeros, so it is a problem. */
function hear(line: string): Heard {
  // BusyBox has it the other way round.
  const text = line.replace(/^(tar|bsdtar): /, '').replace(/^can't open '(.*)': /, '$1: ');
  const split = text.indexOf(': ');
  const [path, message] = split < 0 ? ['.', text] : [text.slice(0, split), text.slice(split + 2)];
  const kinds: readonly [Heard['kind'], RegExp][] = [
    ['nothing', /^Total bytes written|previous errors|^Error exit delayed/],
    ['changed', /: file changed as we read it$/],
    ['vanished', /: File removed before we read it$|: No such file or directory$/],
    ['note', /: (socket ignored|file is on a different filesystem; not dumped)$/],
  ];
  const found = kinds.find(([, pattern]) => pattern.test(text));
  return { kind: found?.[0] ?? 'problem', path, message };
}

/** Spaces and the like are written as \040. */
function unescapePoint(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
