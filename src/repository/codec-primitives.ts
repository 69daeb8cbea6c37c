/**
 * What the blob codec needs done to bytes. Two files do it: native-codec.ts with the libraries' contexts kept, and
 * plain-codec.ts with what Node offers. Both give the same bytes, compressed frames aside.
 */

/** All arguments are views: nothing is allocated by the native half, nothing is kept by either. */
export interface CodecPrimitives {
  readonly kind: 'native' | 'plain';
  /** SHA-256 of data into digest (32 bytes). */
  hash(data: Uint8Array, digest: Uint8Array): void;
  /** One zstd frame with content size and without checksum; its length, or 0 when `out` is too small. */
  compress(data: Uint8Array, out: Uint8Array, level: number): number;
  /** The length of what was in the frame, or -1 when it is damaged or does not fit into `out`. */
  decompress(frame: Uint8Array, out: Uint8Array): number;
  /** AES-256-CTR from the counter block iv (16 bytes); `from` and `to` are of one length and may be the same bytes. */
  crypt(iv: Uint8Array, from: Uint8Array, to: Uint8Array): void;
  /** Poly1305-AES of the ciphertext with the nonce iv into mac (16 bytes). */
  authenticate(iv: Uint8Array, ciphertext: Uint8Array, mac: Uint8Array): void;
}
