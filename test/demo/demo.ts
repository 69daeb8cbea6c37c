/**
 * `npm run demo`: a folder is backed up, changed, backed up again, destroyed and brought back, with the real program.
 * Needs no root, no cluster and no network; works in a folder of its own, which it removes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences, recordFolder } from './folder-record.ts';
import { bold, DemoShell } from './shell.ts';
import { makeShop } from './shop-data.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
// Ctrl-C ends the command that runs, and with it the story; what follows is tidied up.
process.once('SIGINT', () => undefined);
try {
  tellStory(folder);
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function tellStory(folder: string): void {
  const shell = new DemoShell(folder);
  const shop = join(folder, 'shop');
  makeShop(shop);
  writeFileSync(join(folder, 'password'), 'correct horse battery staple\n', { mode: 0o600 });

  shell.say(`In ${folder} is the folder of a small shop: orders, logs, pictures.`);
  shell.run('du -sh shop; ls shop');

  shell.say('A repository is where backups go: here a folder, elsewhere an S3 bucket. Everything in it is encrypted.');
  shell.export('HOLDFAST_REPOSITORY', 'backups');
  shell.export('HOLDFAST_PASSWORD_FILE', 'password');
  shell.run('holdfast init');

  shell.say('The first backup stores everything.');
  shell.run('holdfast backup --dir shop --tag monday');
  const monday = recordFolder(shop);

  shell.say('A day passes: new orders, more log lines. The second backup stores only what is new.');
  shell.run("echo '2026-10-29,1,customer-7,19.90' > shop/orders/2026-10-29.csv");
  shell.run('echo \'10.0.0.1 - - [29/Oct/2026] "GET /product/7 HTTP/2" 200 512\' >> shop/logs/access.log');
  shell.run('holdfast backup --dir shop --tag tuesday');
  const tuesday = recordFolder(shop);

  shell.say('Two backups, each complete in itself.');
  shell.run('holdfast list');

  shell.say('Disaster: a program scribbles over the orders, and then somebody deletes it all.');
  shell.run('for file in shop/orders/*.csv; do echo garbage > "$file"; done');
  shell.run('rm -rf shop');

  shell.say('It comes back.');
  shell.run('holdfast restore latest --dir shop');
  proveEqual('shop is as it was on Tuesday', tuesday, shop);

  shell.say('Monday is there as well.');
  const backups: { id: string }[] = JSON.parse(shell.capture('holdfast list --json --tag monday'));
  shell.run(`holdfast restore ${backups[0]?.id.slice(0, 8)} --dir shop-monday`);
  proveEqual('shop-monday is as it was on Monday', monday, join(folder, 'shop-monday'));

  shell.say('Is the repository itself sound? This reads and verifies every byte of it.');
  shell.run('holdfast check --read-data');

  if (shell.has('restic')) {
    shell.say('The format is restic’s: restic, which knows nothing of Holdfast, reads the same backups.');
    shell.run('restic -r backups --password-file password --no-cache snapshots --compact');
  }
  process.stdout.write(
    `\n${bold('Backed up, destroyed, restored: every byte, owner, mode, time and link is the same.')}\n`,
  );
}

function proveEqual(claim: string, expected: ReturnType<typeof recordFolder>, folder: string): void {
  const found = recordFolder(folder);
  const different = differences(expected, found);
  if (different.length > 0) throw new Error(`${claim}: not true for ${different.slice(0, 5).join(', ')}`);
  process.stdout.write(`✓ ${claim}: ${found.size} entries with content, owner, mode, time and links compared\n`);
}
