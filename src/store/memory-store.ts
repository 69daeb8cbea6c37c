/** A store in memory, for tests and for trying things out. Gone with its process. */
import { HoldfastError } from '../base/errors.ts';
import { alreadyThere, filePath, isFileName, kindOf } from './file-path.ts';
import { rangeWithin } from './range.ts';
import type { FileType, Range, Store, StoredFile } from './store.ts';

export function openMemoryStore(url = 'memory'): Store {
  const files = new Map<string, { type: FileType; name: string; bytes: Buffer; modifiedMs: number }>();

  function describe(file: { name: string; bytes: Buffer; modifiedMs: number }): StoredFile {
    return { name: file.name, sizeBytes: file.bytes.length, modifiedMs: file.modifiedMs };
  }

  return {
    url,
    uploadsAtOnce: 1,
    listsAtOnce: true,
    async put(type, name, bytes) {
      const path = filePath(type, name);
      const there = files.get(path);
      if (there) alreadyThere(url, type, name, bytes.length, there.bytes.length);
      else files.set(path, { type, name, bytes: Buffer.from(bytes), modifiedMs: Date.now() });
    },
    async get(type: FileType, name: string, range?: Range) {
      const file = files.get(filePath(type, name));
      if (!file) throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf(type), name });
      const { offset, length } = rangeWithin(file.bytes.length, range, type, name);
      return Buffer.from(file.bytes.subarray(offset, offset + length));
    },
    async stat(type, name) {
      const file = files.get(filePath(type, name));
      return file && describe(file);
    },
    async *list(type) {
      for (const file of [...files.values()]) {
        if (file.type === type && (type === 'config' || isFileName(file.name))) yield describe(file);
      }
    },
    async remove(type, name) {
      files.delete(filePath(type, name));
    },
    async replaceConfig(bytes) {
      const config = files.get('config');
      if (!config) throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf('config'), name: 'config' });
      files.set('config', { ...config, bytes: Buffer.from(bytes), modifiedMs: Date.now() });
    },
    async close() {},
  };
}
