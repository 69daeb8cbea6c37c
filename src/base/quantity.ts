/**
 * Kubernetes quantities as numbers of bytes. Exact below 2^53, fractions are rounded up as the API server does
 * for storage. Not the same language as units.ts: 'k' is small here, 'm' is a thousandth, '1e3' is a number.
 */
const factors: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1_000n],
  '': [1n, 1n],
  k: [1_000n, 1n],
  M: [1_000_000n, 1n],
  G: [1_000_000_000n, 1n],
  T: [1_000_000_000_000n, 1n],
  P: [1_000_000_000_000_000n, 1n],
  E: [1_000_000_000_000_000_000n, 1n],
  Ki: [1n << 10n, 1n],
  Mi: [1n << 20n, 1n],
  Gi: [1n << 30n, 1n],
  Ti: [1n << 40n, 1n],
  Pi: [1n << 50n, 1n],
  Ei: [1n << 60n, 1n],
};

/** Bytes of a quantity such as '200Mi', '1.5Gi', '1e9' or 1073741824. Undefined when it is none, or negative. */
export function parseQuantity(quantity: string | number): number | undefined {
  const match = /^\+?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/.exec(
    String(quantity).trim(),
  );
  const [, whole = '', fraction = '', exponent = '0', suffix = ''] = match ?? [];
  const factor = factors[suffix];
  if (!match || !factor || whole + fraction === '') return undefined;
  const power = Number(exponent) - fraction.length;
  const numerator = BigInt(whole + fraction) * factor[0] * 10n ** BigInt(Math.max(power, 0));
  const denominator = factor[1] * 10n ** BigInt(Math.max(-power, 0));
  return Number((numerator + denominator - 1n) / denominator);
}

/** The shortest exact binary form: 209715200 becomes '200Mi', 1000 stays '1000'. */
export function formatQuantity(bytes: number): string {
  for (const suffix of ['Ti', 'Gi', 'Mi', 'Ki']) {
    const unit = Number(factors[suffix]?.[0] ?? 1n);
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${suffix}`;
  }
  return String(bytes);
}
