/** A download that may hold next to nothing still comes, over one circuit and over several, into a file and into a stream. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { download } from '../../src/index.ts';
import { startChain } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1024 * 1024;

for (const parallel of [1, 4]) {
  test(`over ${parallel} at once, each piece is written before the next one is taken`, async (t) => {
    const root = await makeTempRoot(t);
    const content = await root.writeRandom('data.bin', 20 * mib + 5);
    const chain = await startChain(t, 2, root.path);
    const options = { route: chain.route('data.bin'), parallel, limits: { maxUnwrittenBytes: 1 } };
    const output = path.join(root.path, 'copy.bin');
    await download({ ...options, output });
    assert.ok((await readFile(output)).equals(content));

    const parts: Buffer[] = [];
    const stream = new Writable({
      // Slower than pieces come, so that those wait whose turn it is not.
      write: (bytes: Buffer, _encoding, done) => {
        parts.push(Buffer.from(bytes));
        setImmediate(done);
      },
    });
    await download({ ...options, output: stream });
    assert.ok(Buffer.concat(parts).equals(content));
  });
}
