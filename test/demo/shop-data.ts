/** The folder of a small shop: orders, logs, pictures, links; always the same bytes. */
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function makeShop(folder: string): void {
  for (const name of ['orders', 'logs', 'pictures']) mkdirSync(join(folder, name), { recursive: true });
  for (let day = 1; day <= 28; day++) {
    const date = `2026-10-${String(day).padStart(2, '0')}`;
    writeFileSync(join(folder, 'orders', `${date}.csv`), ordersOf(date, 400 + 13 * day));
  }
  writeFileSync(join(folder, 'logs', 'access.log'), logLines(60_000));
  for (let number = 1; number <= 6; number++) {
    writeFileSync(join(folder, 'pictures', `product-${number}.jpg`), noise(`picture ${number}`, 3 << 20));
  }
  linkSync(join(folder, 'pictures', 'product-1.jpg'), join(folder, 'pictures', 'front-page.jpg'));
  symlinkSync('orders/2026-10-28.csv', join(folder, 'latest-orders.csv'));
  writeFileSync(join(folder, 'database.key'), noise('key', 64), { mode: 0o600 });
}

function ordersOf(date: string, count: number): string {
  const rows = Array.from(
    { length: count },
    (_, at) => `${date},${at + 1},customer-${(at * 7919) % 1000},${at % 97}.90`,
  );
  return `date,order,customer,amount\n${rows.join('\n')}\n`;
}

function logLines(count: number): string {
  const line = (at: number): string =>
    `10.0.${at % 7}.${(at * 31) % 251} - - [28/Oct/2026] "GET /product/${(at * 7919) % 5000} HTTP/2" 200 ${(at * 104729) % 65536}`;
  return `${Array.from({ length: count }, (_, at) => line(at)).join('\n')}\n`;
}

/** Bytes that do not compress. */
function noise(seed: string, sizeBytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at * 64 < sizeBytes; at++) blocks.push(createHash('sha512').update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}
