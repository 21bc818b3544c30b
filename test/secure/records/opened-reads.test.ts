import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Chunk } from '../../../src/io/legs/blocks.ts';
import type { Leg } from '../../../src/io/legs/leg.ts';
import { nodeAead } from '../../../src/secure/records/aead.ts';
import { OpenedReads } from '../../../src/secure/records/opened-reads.ts';
import { maxNodeContent, RecordOpener, RecordSealer } from '../../../src/secure/records/record.ts';

/** A leg that has `chunks`, each for the next read. */
function legOf(chunks: readonly Buffer[]): Leg {
  const left = [...chunks];
  const read = async (): Promise<Chunk | null> => {
    const bytes = left.shift();
    return bytes ? { bytes, release: () => {} } : new Promise<never>(() => {});
  };
  return { peer: 'peer', failure: undefined, holdUpBy: () => {}, read } as unknown as Leg;
}

test('a large record is not opened over what its reader has just taken of a small one', async () => {
  const direction = { aead: nodeAead, key: Buffer.alloc(32, 7), maxContent: maxNodeContent };
  const [small, large] = [randomBytes(60_000), randomBytes(200_000)];
  // Whoever reads may come at any step between the arrival of the one and that of the other.
  for (let steps = 0; steps < 30; steps += 1) {
    const sealer = new RecordSealer(direction);
    const chunks = [small, large].map((content) => Buffer.from(sealer.seal([content])));
    const fail = (error: Error) => assert.fail(error);
    const reads = new OpenedReads({ leg: legOf(chunks), fail, onConfirmed: () => {} });
    reads.begin(new RecordOpener(direction));
    for (let step = 0; step < steps; step += 1) await undefined;
    const memory = Buffer.alloc(small.length + large.length);
    for (let at = 0; at < memory.length; ) at += await reads.readInto(memory.subarray(at));
    assert.ok(memory.equals(Buffer.concat([small, large])), `after ${steps} steps`);
  }
});
