/** Every way to hold a place on this machine, by its name: each has to keep the same promises. */

import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { type Hold, hold, holdByPath } from '../../src/io/disk/held.ts';
import { createQuickHold } from '../../src/io/disk/reading/quick-hold.ts';
import { loadOpenCached, type OpenCached } from '../../src/io/kernel/disk/open-cached.ts';
import { until } from './chain.ts';

const openCached = loadOpenCached();

export const holds: Readonly<Record<string, Hold>> = {
  'by its descriptor': hold,
  'by its path': holdByPath,
  ...(openCached ? { 'from memory': await makeQuickHold(openCached) } : {}),
};

/** One that has found out what the disk of temporary files is. */
async function makeQuickHold(open: OpenCached): Promise<Hold> {
  let opened = 0;
  const quick = createQuickHold(await realpath(tmpdir()), (place, flags, from) => {
    opened += 1;
    return open(place, flags, from);
  });
  await until(async () => {
    const held = await quick(tmpdir());
    await held.close();
    return opened > 0;
  });
  return quick;
}
