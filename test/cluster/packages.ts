/** Debian packages that the cluster's host needs. Installs what is missing, which asks for root. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './commands.ts';

const listFile = join(import.meta.dirname, 'debian-packages.txt');

export async function ensurePackages(progress: (line: string) => void): Promise<void> {
  const wanted = parseList(await readFile(listFile, 'utf8'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const known = await runCommand('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n']);
  const installed = new Set(
    known
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.slice(0, line.indexOf(' '))),
  );
  const missing = wanted.filter((name) => !installed.has(name));
  if (missing.length === 0) return;
  progress(`installing Debian packages: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await runCommand('apt-get', ['update', '-qq'], { env });
  await runCommand('apt-get', ['install', '-qq', '-y', '--no-install-recommends', ...missing], { env });
}

/** One name a line; `#` starts a comment. */
function parseList(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

if (import.meta.main) await ensurePackages((line) => process.stderr.write(`${line}\n`));
