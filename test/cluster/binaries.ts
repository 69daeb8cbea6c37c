/**
 * Finds the programs of the test cluster, and builds what is missing: first in $HOLDFAST_TEST_BIN, then in the cache
 * under ${XDG_CACHE_HOME:-~/.cache}/holdfast-test. A cache folder is named after everything that goes into its
 * programs, so it is never stale.
 *
 *   node test/cluster/binaries.ts [--only NAME]...     builds all (or the named) and prints their paths
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type BinaryName, binaries, goModules, isBinaryName, type ModuleName } from './binary-list.ts';

const run = promisify(execFile);

/** The folder that holds what is slow to make and the same for every run: programs, images, base file systems. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast-test');
}

/** The path of one program, built when it is not there yet (seconds with a warm Go build cache, else minutes). */
export async function ensureBinary(name: BinaryName): Promise<string> {
  const given = process.env.HOLDFAST_TEST_BIN;
  if (given && (await isExecutable(join(given, name)))) return join(given, name);
  const folder = await moduleCache(binaries[name].module);
  const path = join(folder, name);
  if (!(await isExecutable(path))) await build(name, path);
  return path;
}

/** Several programs, one after the other: they share most of what is compiled. */
export async function ensureBinaries(names: readonly BinaryName[]): Promise<Record<BinaryName, string>> {
  const paths: Partial<Record<BinaryName, string>> = {};
  for (const name of names) paths[name] = await ensureBinary(name);
  return paths as Record<BinaryName, string>;
}

const moduleCaches = new Map<ModuleName, Promise<string>>();

function moduleCache(module: ModuleName): Promise<string> {
  const known = moduleCaches.get(module);
  if (known) return known;
  const folder = moduleKey(module).then((key) => join(cacheFolder(), 'bin', `${module}-${key}`));
  moduleCaches.set(module, folder);
  return folder;
}

/** Hash over Go's version, the flags and every source file of the module. */
async function moduleKey(module: ModuleName): Promise<string> {
  const { folder, tags, linkerFlags } = goModules[module];
  const { stdout: goVersion } = await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], { env: goEnvironment() });
  const hash = createHash('sha256').update(JSON.stringify([goVersion, tags, linkerFlags]));
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(go|mod|sum)$/.test(name)).sort();
  for (const name of names) {
    hash.update(`\n${name}\n`);
    hash.update(await readFile(join(folder, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function build(name: BinaryName, path: string): Promise<void> {
  const { module, package: packagePath } = binaries[name];
  const { folder, tags, linkerFlags } = goModules[module];
  await mkdir(join(path, '..'), { recursive: true });
  // Under another name until it is whole: a killed build must not leave something that looks finished.
  const unfinished = `${path}.${process.pid}.tmp`;
  const flags = ['-mod=readonly', '-trimpath', '-tags', tags, '-ldflags', linkerFlags, '-o', unfinished];
  const startMs = Date.now();
  process.stderr.write(`building ${name} …\n`);
  try {
    await runGo(['build', ...flags, packagePath], folder);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  process.stderr.write(`built ${name} in ${Math.round((Date.now() - startMs) / 1000)} s\n`);
}

function runGo(args: string[], folder: string): Promise<void> {
  const child = spawn('go', args, { cwd: folder, env: goEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`go ${args.at(-1)} ended with ${signal ?? code}`));
    });
  });
}

function goEnvironment(): NodeJS.ProcessEnv {
  const path = `${process.env.PATH}:/usr/local/go/bin`;
  return { ...process.env, PATH: path, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
  const names = values.only ?? Object.keys(binaries);
  for (const name of names) {
    if (!isBinaryName(name)) throw new Error(`unknown program ${name}; known: ${Object.keys(binaries).join(', ')}`);
    process.stdout.write(`${await ensureBinary(name)}\n`);
  }
}

if (import.meta.main) await main();
