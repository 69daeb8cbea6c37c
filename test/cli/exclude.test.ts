/** What --exclude and its like leave out: the real restic gets the same options for the same folder. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { restic } from '../setup/restic.ts';
import { newPlace, type Place, resticEnv } from './place.ts';
import { runCli } from './run-cli.ts';

const signature = 'Signature: 8a477f597d28d172789f06886806bc55';
const files: Readonly<Record<string, string>> = {
  'a.tmp': '',
  'B.TMP': '',
  'keep.tmp': '',
  'docs/a.txt': 'text',
  'docs/x.tmp': '',
  'docs/keep.tmp': '',
  'docs/deep/er/file.log': '',
  'docs/deep/file.log': '',
  'node_modules/a/index.js': '',
  'src/node_modules/b/index.js': '',
  'src/main.ts': '',
  'cache/CACHEDIR.TAG': `${signature}\nmade for this test`,
  'cache/big': 'x',
  'cache/sub/more': '',
  'fake/CACHEDIR.TAG': 'something else',
  'fake/stays': '',
  'marked/.nobackup': '',
  'marked/gone': '',
  'marked/sub/gone': '',
  'sizes/999': 'x'.repeat(999),
  'sizes/1000': 'x'.repeat(1000),
  'sizes/1001': 'x'.repeat(1001),
  'space name/ü.txt': '',
};

let place: Place;
let source: string;

beforeAll(async () => {
  place = await newPlace();
  source = join(place.folder, 'source');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), content);
  }
  writeFileSync(join(place.folder, 'patterns'), '# comment\n\n  *.tmp  \n!keep.tmp\n$NAME/a\n$$x\n');
  writeFileSync(join(place.folder, 'upper'), 'DOCS/DEEP\n');
});

async function listed(): Promise<string[]> {
  const { stdout } = await place.cli('ls', 'latest', '--json');
  const entries: { type: string; path?: string }[] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return entries.flatMap(({ path }) => (path === undefined ? [] : [path]));
}

async function leftBy(args: readonly string[]): Promise<{ ours: string[]; theirs: string[] }> {
  const expanded = args.map((arg) => arg.replace('SOURCE', source).replace('PLACE', place.folder));
  const env = { ...place.env, NAME: 'node_modules' };
  const { exitCode, stderr } = await runCli(['backup', '--dir', source, ...expanded], { env });
  // On a busy machine a backup takes long enough to tell how far it is.
  expect({ exitCode, warnings: stderr.replace(/^backing up: .*\n/gm, '') }).toEqual({ exitCode: 0, warnings: '' });
  const ours = await listed();
  await restic(['backup', '.', ...expanded], { cwd: source, env: { ...resticEnv(place), NAME: 'node_modules' } });
  return { ours, theirs: await listed() };
}

test.each(
  [
    ['--exclude', '*.tmp'],
    ['--exclude', '*.tmp', '--exclude', '!keep.tmp'],
    ['--exclude', '!keep.tmp', '--exclude', '*.tmp'],
    ['--exclude', 'docs', '--exclude', '!docs/a.txt'],
    ['--exclude', 'docs/*', '--exclude', '!a.txt'],
    ['-e', 'SOURCE/docs/**/*.log', '-e', 'node_modules/*'],
    ['-e', 'SOURCE/node_modules', '-e', '/docs', '-e', 'ü.*'],
    ['-e', 'sr?', '-e', '[d]ocs/dee[o-q]', '-e', 'space name/'],
    ['--iexclude', '*.Tmp'],
    ['--iexclude', 'DOCS', '--exclude', 'b.tmp'],
    ['--exclude-file', 'PLACE/patterns', '--iexclude-file', 'PLACE/upper'],
    ['--exclude-caches'],
    ['--exclude-if-present', '.nobackup', '--exclude-if-present', 'a.txt:tex'],
    ['--exclude-if-present', 'a.txt:other', '--exclude-caches'],
    ['--exclude-larger-than', '1000'],
    ['--one-file-system'],
  ].map((args) => [args.join(' '), args] as const),
)('%s leaves what restic leaves', async (_, args) => {
  const { ours, theirs } = await leftBy(args);
  expect(ours).toEqual(theirs);
  expect(ours.length).toBeGreaterThan(5);
});

test('a FIFO in the place of a mark is no mark, and nothing waits for its other end', async () => {
  const folder = join(place.folder, 'with-fifo');
  mkdirSync(folder);
  writeFileSync(join(folder, 'stays'), '');
  execFileSync('mkfifo', [join(folder, 'CACHEDIR.TAG')]);
  expect(await place.cli('backup', '--dir', folder, '--exclude-caches')).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await listed()).toEqual(['/CACHEDIR.TAG', '/stays']);
});

test('the patterns are on record in the backup', async () => {
  await place.cli('backup', '--dir', source, '--exclude', '*.tmp', '--iexclude', 'x');
  const { stdout } = await place.cli('show', 'latest', '--json');
  expect(JSON.parse(stdout)).toMatchObject({ excludes: ['*.tmp', 'x'] });
});

test('another file system below the folder leaves an empty folder', async () => {
  if (process.getuid?.() !== 0) return;
  const mounted = join(source, 'mounted');
  mkdirSync(mounted);
  execFileSync('mount', ['-t', 'tmpfs', 'holdfast-test', mounted]);
  try {
    writeFileSync(join(mounted, 'inside'), '');
    const { ours, theirs } = await leftBy(['--one-file-system']);
    expect(ours).toEqual(theirs);
    expect(ours).toContain('/mounted');
    expect(ours).not.toContain('/mounted/inside');
  } finally {
    execFileSync('umount', [mounted]);
  }
});

test.each([
  [['--dir', 'SOURCE', '--exclude', '[a'], 'pattern'],
  [['--dir', 'SOURCE', '--exclude', 'source'], 'nothing is left'],
  [['--dir', 'SOURCE', '--exclude-file', 'PLACE/none'], 'Cannot read'],
  [['--dir', 'SOURCE', '--exclude-if-present', 'a/b'], 'name of a file'],
  [['shop/data', '--exclude', 'x'], '--exclude is for --dir'],
  [['shop/data', '-x'], '--one-file-system is for --dir'],
])('%s is refused', async (args, why) => {
  const expanded = args.map((arg) => arg.replace('SOURCE', source).replace('PLACE', place.folder));
  const { exitCode, stderr } = await place.cli('backup', ...expanded);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(why);
});
