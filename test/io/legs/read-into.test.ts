import type { TestContext } from 'node:test';
import { type KernelEngine, startKernelEngine } from '../../../src/io/kernel/engine.ts';
import type { LegOptions } from '../../../src/io/legs/leg-options.ts';
import { whyNoKernel } from '../../support/kernel.ts';
import { testReadInto } from './read-into.contract.ts';

testReadInto('through blocks of the leg', false, () => ({}));
testReadInto('straight from the socket', whyNoKernel(), byKernel);

function byKernel(t: TestContext): Partial<LegOptions> {
  const kernel: KernelEngine = startKernelEngine();
  t.after(() => kernel.close());
  return { openReader: (fd, peer) => kernel.openReader(fd, peer) };
}
