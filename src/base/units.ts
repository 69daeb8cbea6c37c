/** Sizes and durations as people write them, to bytes and milliseconds and back. */
import { HoldfastError } from './errors.ts';

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/**
 * Bytes of '100', '200Mi', '1.5G', '16 MiB'. Suffixes mean what they mean in a Kubernetes quantity:
 * G is 10^9, Gi is 2^30; a trailing B and a capital K are accepted. A fraction of a byte is rounded up. Otherwise USAGE.
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kKMGTP]?i?)B?$/.exec(text.trim());
  const suffix = match?.[2] === 'K' ? 'k' : match?.[2];
  const unit = suffix === undefined ? undefined : sizeUnits[suffix];
  if (!match || unit === undefined) {
    throw new HoldfastError('USAGE', { problem: `"${text}" is not a size such as 200Mi, 1.5G or 4096` });
  }
  const sizeBytes = Math.ceil(Number(match[1]) * unit);
  if (!Number.isSafeInteger(sizeBytes)) {
    throw new HoldfastError('USAGE', { problem: `the size "${text}" is too large` });
  }
  return sizeBytes;
}

/** '0 B', '999 B', '1.5 GiB': binary units, one digit after the point. */
export function formatSize(sizeBytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = sizeBytes;
  let step = 0;
  // 1023.95 would be printed as 1024.0
  while (step < units.length - 1 && value >= (step === 0 ? 1024 : 1023.95)) {
    value /= 1024;
    step += 1;
  }
  return `${step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/** Milliseconds of '30s', '5m', '2d', '1h30m', '250ms'; m is minutes. Each unit once, largest first or not. Otherwise USAGE. */
export function parseDuration(text: string): number {
  const compact = text.trim();
  if (compact === '0') return 0;
  let totalMs = 0;
  const seen = new Set<string>();
  const rest = compact.replace(/(\d+(?:\.\d+)?)(ms|[smhdw])/g, (whole: string, amount: string, unit: string) => {
    if (seen.has(unit)) return whole;
    seen.add(unit);
    totalMs += Number(amount) * (durationUnitsMs[unit] ?? 0);
    return '';
  });
  if (compact === '' || rest !== '') {
    throw new HoldfastError('USAGE', { problem: `"${text}" is not a duration such as 30s, 5m, 1h30m or 2d` });
  }
  return Math.round(totalMs);
}

/** '350ms', '4.2s', '3m12s', '2h5m', '3d4h': the two largest units. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 9950) return `${(durationMs / 1000).toFixed(1)}s`;
  const seconds = Math.round(durationMs / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join('');
}
