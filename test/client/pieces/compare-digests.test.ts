import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Circuit } from '../../../src/client/circuit/circuit.ts';
import { compareDigests } from '../../../src/client/pieces/compare-digests.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import type { Message } from '../../../src/wire/native/messages.ts';

const limits = { ...defaultLimits, maxReadsAhead: 4 };

/** An origin whose piece `index` has the digest `there[index]`; takes note of what it was asked, and of how much was due at most. */
function origin(there: readonly string[]) {
  const asked: number[] = [];
  const due: string[] = [];
  const seen = { asked, due, mostDue: 0 };
  const circuit = {
    send: (requests: readonly Message[]) => {
      for (const request of requests) {
        assert.equal(request.type, 'digest');
        if (request.type !== 'digest') continue;
        assert.equal(request.version, 'v1');
        asked.push(request.offset / 10);
        due.push(there[request.offset / 10] ?? '');
      }
      seen.mostDue = Math.max(seen.mostDue, due.length);
    },
    receive: async () => ({ type: 'end', digest: due.shift() }),
  };
  return { ...seen, seen, circuit: circuit as unknown as Circuit };
}

const digests = Array.from({ length: 20 }, (_, index) => `d${index}`);
const shared = { file: 'f', version: 'v1', rangeOf: (index: number) => ({ offset: index * 10, length: 10 }) };

test('pieces are compared in their order, and many are asked for before the first answer', async () => {
  const { circuit, asked, seen } = origin(digests);
  const compared: [number, boolean][] = [];
  const indexes = [3, 1, 7, 8, 9, 10];
  const areSame = await compareDigests(circuit, limits, {
    ...shared,
    indexes,
    digestHere: (index) => (index === 7 ? 'another' : digests[index]),
    onCompared: (index, isSame) => {
      compared.push([index, isSame]);
      return true;
    },
  });
  assert.equal(areSame, false);
  assert.deepEqual(asked, indexes);
  assert.equal(seen.mostDue, 4);
  assert.deepEqual(
    compared,
    indexes.map((index) => [index, index !== 7]),
  );
});

test('behind a piece that differs nothing is asked for, nothing is read, and no answer is left', async () => {
  const { circuit, asked, due } = origin(digests);
  const read: number[] = [];
  const digestHere = async (index: number) => {
    read.push(index);
    return index === 2 ? undefined : digests[index];
  };
  assert.equal(await compareDigests(circuit, limits, { ...shared, indexes: digests.keys(), digestHere }), false);
  assert.deepEqual(read, [0, 1, 2]);
  assert.ok(asked.length >= 3 && asked.length < 10, `${asked.length} were asked for`);
  assert.deepEqual(due, []);
});

test('no pieces are the same as none, and nothing is asked', async () => {
  const { circuit, asked } = origin(digests);
  assert.equal(await compareDigests(circuit, limits, { ...shared, indexes: [], digestHere: () => undefined }), true);
  assert.deepEqual(asked, []);
});
