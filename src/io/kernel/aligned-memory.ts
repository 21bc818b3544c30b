/**
 * Memory whose address is known: for disks, which want it at whole blocks, and in huge pages.
 *
 * Knows nothing about what is in it. Invariant: it is a Buffer like any other, and is freed like any other.
 */

import { once } from '../once.ts';
import { loadKoffi } from './libc.ts';

/** The size of huge pages on most machines. */
export const hugePageBytes = 2 * 1024 * 1024;
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;

export interface AlignedMemory {
  /**
   * Memory of `bytes` bytes, all of which will be filled, whose address is a multiple of `alignment`; of huge pages, where
   * that is `hugePageBytes` and the system has any.
   */
  allocate(bytes: number, alignment: number): Buffer;
  isAligned(memory: Buffer, alignment: number): boolean;
}

/** Undefined where nobody can tell an address, or the system has no use for it. */
export const loadAlignedMemory = once((): AlignedMemory | undefined => {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = loadKoffi();
    const madvise = koffi.load(null).func('int madvise(void *memory, size_t length, int advice)');
    const beyond = (memory: Buffer, alignment: number) => Number(koffi.address(memory) % BigInt(alignment));
    return {
      allocate: (bytes, alignment) => {
        const memory = Buffer.allocUnsafeSlow(bytes + alignment);
        const start = (alignment - beyond(memory, alignment)) % alignment;
        const aligned = memory.subarray(start, start + bytes);
        // All pages of it in one call, in place of an exception for each. Without an effect where the system knows no such advice,
        // or its pages are of another size.
        madvise(aligned, bytes, alignment === hugePageBytes ? MADV_HUGEPAGE : MADV_POPULATE_WRITE);
        return aligned;
      },
      isAligned: (memory, alignment) => beyond(memory, alignment) === 0,
    };
  } catch {
    return undefined;
  }
});
