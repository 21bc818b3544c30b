/** Whether this machine has the kernel path, for tests that need it. */

import { startKernelEngine } from '../../src/io/kernel/engine.ts';

/** Why it has not, for `skip`; false where it has. */
export function whyNoKernel(): string | false {
  try {
    startKernelEngine().close();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}
