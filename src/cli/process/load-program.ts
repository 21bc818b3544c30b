/**
 * Loads the program from the one file that it is bundled into, with what V8 made of it at an earlier time.
 *
 * To parse and compile that file is half of what a short command does. V8 can keep the result, its code cache, but looks at
 * little before it takes one: at its own version and flags, and at the length of the source. A cache that is damaged ends the
 * process by a signal, one of another source of that length runs the other source. So here each cache carries checksums of both.
 * Owns the form of such a file. Knows nothing about the program.
 * Invariant: a cache that is missing, damaged, or of another Node or program costs time and nothing else.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';

export interface LoadedProgram<Exports> {
  readonly exports: Exports;
  /** Whether a cache was taken. */
  readonly isCached: boolean;
  /** The content of a cache that has what has been compiled up to now. */
  makeCache(): Buffer;
}

/** The tag of V8, the checksum of the source, that of the code, and nothing: V8 copies code that does not begin at a multiple of 8. */
const headBytes = 16;

/**
 * Runs `file`, which is one function expression of the parameters that Node gives a CommonJS module, with the first of
 * `caches` that is there and fits. `source` is its content, and `require` what it gets as that. Throws what reading and running it
 * throws.
 */
export function loadProgram<Exports>(
  file: string,
  caches: readonly (() => Buffer | undefined)[],
  source: Buffer = readFileSync(file),
  require: NodeJS.Require = createRequire(file),
): LoadedProgram<Exports> {
  const tag = cachedDataVersionTag();
  const checksum = crc32(source);
  const cachedData = findCode(caches, tag, checksum);
  // The bundler writes ASCII, and this is the quickest way to a string of one byte a character.
  const script = new vm.Script(source.toString('latin1'), { filename: file, ...(cachedData ? { cachedData } : {}) });
  const module = { exports: {} as Exports };
  script.runInThisContext()(module.exports, require, module, file, path.dirname(file));
  return {
    exports: module.exports,
    isCached: cachedData !== undefined && script.cachedDataRejected !== true,
    makeCache: () => {
      const code = script.createCachedData();
      const head = Buffer.alloc(headBytes);
      for (const [index, value] of [tag, checksum, crc32(code)].entries()) head.writeUInt32LE(value, index * 4);
      return Buffer.concat([head, code]);
    },
  };
}

function findCode(caches: readonly (() => Buffer | undefined)[], tag: number, checksum: number): Buffer | undefined {
  for (const read of caches) {
    const bytes = readIfThere(read);
    if (!bytes || bytes.length < headBytes) continue;
    const code = bytes.subarray(headBytes);
    const expected = [tag, checksum, crc32(code)];
    if (expected.every((value, index) => bytes.readUInt32LE(index * 4) === value)) return code;
  }
  return undefined;
}

function readIfThere(read: () => Buffer | undefined): Buffer | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
