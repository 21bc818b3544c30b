import { test } from 'node:test';
import { type KernelEngine, startKernelEngine } from '../../src/io/kernel/engine.ts';
import { whyNoKernel } from '../support/kernel.ts';
import { testJoin } from './legs/join.contract.ts';

const reason = whyNoKernel();
if (reason) {
  test('the kernel path joins legs', { skip: `the kernel path is not available: ${reason}` }, () => {});
} else {
  for (const dialsItself of [false, true]) {
    testJoin((t) => {
      const kernel: KernelEngine = startKernelEngine();
      t.after(() => kernel.close());
      return { kernel, dialsItself };
    });
  }
}
