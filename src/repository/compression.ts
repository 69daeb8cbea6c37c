/** How much is compressed of what is written. */
import type { BlobCodec } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';

export type Compression = 'off' | 'auto' | 'max';

/**
 * What blobs of a type get where `asked` is wanted. Version 1 of the format knows no compression; in version 2 trees
 * are always compressed, as restic does (restic format, "zstd parameters").
 */
export function compressionOf(version: 1 | 2, type: BlobType, asked: Compression = 'auto'): Compression {
  if (version === 1) return 'off';
  return type === 'tree' && asked === 'off' ? 'auto' : asked;
}

/** The codec for packs of blobs that get this compression. */
export function withCompression(codec: BlobCodec, compression: Compression): BlobCodec {
  return compression === 'off' ? { ...codec, compress: () => 0 } : codec;
}
