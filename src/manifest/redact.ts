/** Values that may be secrets, taken out of what a recipe records. Names of Secret objects stay: a restore needs them. */
export const redactedValue = '(redacted)';

const secretKey =
  /passw(or)?d|passphrase|secret|token|credential|access-?key|account-?key|private-?key|api-?key|sas|connection-?string/i;
const referenceKey = /(name|namespace|ref)$/i;

export function isSecretKey(key: string): boolean {
  return secretKey.test(key) && !referenceKey.test(key);
}

/** @returns a copy, and the paths (below `path`) of what was replaced. */
export function redact(
  values: Readonly<Record<string, string>> | undefined,
  path: string,
): { values: Record<string, string> | undefined; redacted: string[] } {
  if (!values) return { values: undefined, redacted: [] };
  const keys = Object.keys(values).filter(isSecretKey);
  const hidden = Object.fromEntries(keys.map((key) => [key, redactedValue]));
  return { values: { ...values, ...hidden }, redacted: keys.map((key) => `${path}.${key}`) };
}
