/** What a leg has read, where its bytes are taken from the kernel directly. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SocketReader } from '../../../src/io/kernel/socket-reader.ts';
import { Arrivals } from '../../../src/io/legs/arrivals.ts';
import { readHead } from '../../../src/io/legs/head.ts';
import type { LegLike } from '../../../src/io/legs/leg-like.ts';
import { ok } from '../../../src/wire/decoded.ts';
import { FakeClock } from '../../support/legs.ts';

/** A peer whose bytes are there whenever somebody looks. */
function endless(): Arrivals {
  const arrivals = new Arrivals(1024);
  const reader = { take: (memory: Buffer) => memory.fill(7).length, await: () => {}, rest: () => {} };
  arrivals.takeBy(reader as unknown as SocketReader, { onTaken: () => {}, onBroken: () => {} });
  return arrivals;
}

const options = { clock: new FakeClock(), ms: 1000 };
const ways: Readonly<Record<string, (arrivals: Arrivals) => Promise<unknown>>> = {
  chunks: async (arrivals) => (await arrivals.next(100))?.release(),
  bytes: (arrivals) => arrivals.nextInto(Buffer.alloc(10)),
  heads: (arrivals) => {
    const leg: Partial<LegLike> = {
      readNow: () => arrivals.nextNow(),
      unread: (chunk) => arrivals.putBack(chunk),
      read: (maxBytes = 1024) => arrivals.next(maxBytes),
    };
    return readHead(leg as LegLike, (bytes) => ok(bytes[0], bytes.length), options);
  },
};

for (const [what, take] of Object.entries(ways)) {
  test(`whoever takes ${what} that are there at once leaves others a turn`, async () => {
    const arrivals = endless();
    let hadTurn = false;
    setImmediate(() => {
      hadTurn = true;
    });
    let taken = 0;
    for (; !hadTurn && taken < 1000; taken += 1) await take(arrivals);
    assert.ok(hadTurn, `${taken} without a turn`);
  });
}
