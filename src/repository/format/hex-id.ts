/** Ids in their 64 hexadecimal digits, as bytes of a document: read where they lie, since there are millions. */

export const idBytes = 32;
export const idDigits = 2 * idBytes;

/** Value of each hexadecimal digit; 16 and more for every other byte. */
const digitValues = new Uint8Array(256).fill(255);
for (const [value, digit] of [...'0123456789abcdef'].entries()) digitValues[digit.charCodeAt(0)] = value;

/** Fills `id` from the digits at `at`; false where they are not all there, or not all digits. */
export function readHexId(bytes: Uint8Array, at: number, id: Uint8Array): boolean {
  if (at + idDigits > bytes.length) return false;
  let seen = 0;
  for (let i = 0; i < idBytes; i++) {
    const high = digitValues[bytes[at + 2 * i]!]!;
    const low = digitValues[bytes[at + 2 * i + 1]!]!;
    seen |= high | low;
    id[i] = (high << 4) | low;
  }
  return seen < 16;
}
