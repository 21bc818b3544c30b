import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Signal } from '../../../src/core/signal.ts';
import { connectFirst } from '../../../src/io/names/race.ts';
import { FakeClock } from '../../support/legs.ts';

interface Attempt {
  readonly address: string;
  readonly signal: Signal;
  isDestroyed: boolean;
  connect(): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** A race whose attempts end when the test says so. */
function startRace(addresses: readonly string[], check?: (address: string) => void) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const attempts: Attempt[] = [];
  const connect = (address: string, signal: Signal) =>
    new Promise<{ address: string; destroy(): void }>((resolve, reject) => {
      const attempt: Attempt = {
        address,
        signal,
        isDestroyed: false,
        connect: () => {
          const destroy = () => {
            attempt.isDestroyed = true;
          };
          resolve({ address, destroy });
          return turn();
        },
        fail: (error) => {
          reject(error);
          return turn();
        },
      };
      signal.addEventListener('abort', () => reject(signal.reason));
      attempts.push(attempt);
    });
  const winner = connectFirst(addresses, { clock, signal: stop.signal, check, connect });
  winner.catch(() => {});
  return { clock, stop, attempts, winner, tried: () => attempts.map(({ address }) => address) };
}

test('the next address is tried after 250 ms without a word, and the first that connects wins', async () => {
  const { clock, attempts, winner, tried } = startRace(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  clock.advance(249);
  assert.deepEqual(tried(), ['10.0.0.1']);
  clock.advance(1);
  assert.deepEqual(tried(), ['10.0.0.1', '10.0.0.2']);
  await attempts[1]?.connect();
  assert.equal((await winner).address, '10.0.0.2');
  assert.equal(attempts[0]?.signal.aborted, true);
  assert.equal(clock.waiting, 0);
  clock.advance(1000);
  assert.equal(attempts.length, 2);
});

test('a failure brings the next address at once', async () => {
  const { attempts, clock, winner, tried } = startRace(['10.0.0.1', '10.0.0.2']);
  await attempts[0]?.fail(new Error('refused'));
  assert.deepEqual(tried(), ['10.0.0.1', '10.0.0.2']);
  await attempts[1]?.connect();
  assert.equal((await winner).address, '10.0.0.2');
  assert.equal(clock.waiting, 0);
});

test('families alternate, beginning with that of the first address', async () => {
  const { clock, stop, tried } = startRace(['2001:db8::1', '2001:db8::2', '2001:db8::3', '10.0.0.1', '10.0.0.2']);
  clock.advance(250);
  clock.advance(250);
  clock.advance(250);
  clock.advance(250);
  assert.deepEqual(tried(), ['2001:db8::1', '10.0.0.1', '2001:db8::2', '10.0.0.2', '2001:db8::3']);
  stop.abort(new Error('enough'));
});

test('one that connects beside the winner is destroyed', async () => {
  const { clock, attempts, winner } = startRace(['10.0.0.1', '10.0.0.2']);
  clock.advance(250);
  // Both in one turn: no signal can come in between.
  await Promise.all([attempts[0]?.connect(), attempts[1]?.connect()]);
  assert.equal((await winner).address, '10.0.0.1');
  assert.deepEqual([attempts[0]?.isDestroyed, attempts[1]?.isDestroyed], [false, true]);
});

test('when all have failed it throws the failure of the address that was tried first', async () => {
  const { clock, attempts, winner } = startRace(['10.0.0.1', '10.0.0.2']);
  clock.advance(250);
  await attempts[1]?.fail(new Error('second'));
  await attempts[0]?.fail(new Error('first'));
  await assert.rejects(winner, /first/);
  assert.equal(clock.waiting, 0);
});

test('each address is checked before it is dialled, and one that is denied is passed over', async () => {
  const checked: string[] = [];
  const { clock, attempts, winner, tried } = startRace(['10.0.0.1', '10.0.0.2', '10.0.0.3'], (address) => {
    checked.push(address);
    if (address !== '10.0.0.2') throw new Error(`denied ${address}`);
  });
  assert.deepEqual([checked, tried()], [['10.0.0.1', '10.0.0.2'], ['10.0.0.2']]);
  clock.advance(250);
  assert.deepEqual(tried(), ['10.0.0.2']);
  await attempts[0]?.fail(new Error('refused'));
  await assert.rejects(winner, /denied 10\.0\.0\.1/);
});

test('an abort ends all attempts with its reason', async () => {
  const { clock, stop, attempts, winner } = startRace(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  clock.advance(250);
  stop.abort(new Error('late'));
  await assert.rejects(winner, /late/);
  assert.ok(attempts.every(({ signal }) => signal.reason === stop.signal.reason));
  await turn();
  assert.deepEqual([attempts.length, clock.waiting], [2, 0]);
});

test('of a thousand addresses sixteen are tried', async () => {
  const { attempts, winner } = startRace(
    Array.from({ length: 1000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`),
  );
  for (let index = 0; index < attempts.length; index += 1) await attempts[index]?.fail(new Error('refused'));
  await assert.rejects(winner, /refused/);
  assert.equal(attempts.length, 16);
});

test('the only address is tried at once, without a timer, and one that connects too late is closed', async () => {
  const { clock, stop, attempts, winner } = startRace(['10.0.0.1']);
  assert.deepEqual([attempts.length, clock.waiting], [1, 0]);
  // Both before anybody hears of either.
  void attempts[0]?.connect();
  stop.abort(new Error('too late'));
  await assert.rejects(winner, /too late/);
  assert.equal(attempts[0]?.isDestroyed, true);
});
