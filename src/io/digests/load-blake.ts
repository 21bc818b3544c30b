/**
 * The native library of BLAKE3: the package for this platform, asked for by its name.
 *
 * Knows nothing of digests. The index of `@napi-rs/blake-hash` finds the same package, but on Linux by way of a report on
 * the whole process, to learn which C library runs. That takes twice as long as all else of it, and asks name servers, with
 * everything at a standstill, about each connection that is open. To load a package for the other C library fails at once, so here
 * that is how it is found out. On other systems, and for what is called something else, the index decides.
 */

import { createRequire } from 'node:module';
import { once } from '../once.ts';

export interface BlakeLibrary {
  readonly blake3: (bytes: Buffer) => Buffer;
  readonly Blake3Hasher: new () => { update(bytes: Buffer): unknown; digest(format: 'hex'): string };
}

const index = '@napi-rs/blake-hash';
const requireHere = once(() => createRequire(import.meta.url));
/** What the index depends on is installed where the index finds it, not always where we would. */
const requireAsIndex = once(() => createRequire(requireHere().resolve(index)));

/** Undefined where the library is not installed, or is none for this machine. */
export function loadBlake(): BlakeLibrary | undefined {
  try {
    const require = requireAsIndex();
    for (const name of packagesFor(process.platform, process.arch)) {
      const library = load(require, `${index}-${name}`);
      if (library) return library;
    }
    return load(requireHere(), index);
  } catch {
    return undefined;
  }
}

function packagesFor(platform: string, arch: string): readonly string[] {
  return platform === 'linux' ? ['gnu', 'musl'].map((library) => `${platform}-${arch}-${library}`) : [];
}

function load(require: NodeJS.Require, name: string): BlakeLibrary | undefined {
  try {
    return require(name) as BlakeLibrary;
  } catch {
    return undefined;
  }
}
