import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldWarnings } from '../../src/core/folded-log.ts';
import type { Logger } from '../../src/core/log.ts';
import { FakeClock } from '../support/legs.ts';

function start() {
  const lines: [level: string, message: string, fields: object][] = [];
  const write = (level: string) => (fields: object, message: string) => void lines.push([level, message, fields]);
  const log: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const clock = new FakeClock();
  return { lines, clock, log: foldWarnings(log, clock) };
}

test('warnings of one kind and peer are told once, and then by their number', () => {
  const { lines, clock, log } = start();
  for (let port = 1; port <= 4813; port += 1) {
    log.warn({ peer: `10.0.0.1:${port}`, code: 'PEER_PROTOCOL' }, `the peer sent "${port}"`);
  }
  assert.equal(lines.length, 1);
  clock.advance(10_000);
  assert.deepEqual(lines.slice(1), [
    ['warn', 'repeated 4,812 times: the peer sent "1"', { peer: '10.0.0.1', code: 'PEER_PROTOCOL', repeated: 4812 }],
  ]);
  log.warn({ peer: '10.0.0.1:9', code: 'PEER_PROTOCOL' }, 'the peer sent "9"');
  clock.advance(10_000);
  assert.equal(lines.length, 3, 'what came once is told once');
  assert.equal(clock.waiting, 0);
});

test('another peer, another code and other words are told, as is all that is no warning', () => {
  const { lines, log } = start();
  for (let count = 0; count < 3; count += 1) {
    log.warn({ peer: '10.0.0.1:1', code: 'PEER_PROTOCOL' }, 'one thing');
    log.warn({ peer: '10.0.0.2:1', code: 'PEER_PROTOCOL' }, 'one thing');
    log.warn({ peer: '[2001:db8::1]:1', code: 'PEER_PROTOCOL' }, 'one thing');
    log.warn({ peer: '10.0.0.1:1', code: 'LIMIT_HEAD' }, 'one thing');
    log.warn({ peer: '10.0.0.1:1', code: 'PEER_PROTOCOL' }, 'another thing');
    log.warn({ pool: 'a', member: 'b' }, 'member is down');
    log.warn({ pool: 'a', member: 'c' }, 'member is down');
    log.info({ peer: '10.0.0.1:1' }, 'circuit served');
  }
  assert.equal(lines.length, 7 + 3);
});

test('at the end all counts are told, and no timer is left', () => {
  const { lines, clock, log } = start();
  for (let count = 0; count < 3; count += 1) log.warn({ peer: '[::1]:1', code: 'PEER_LOST' }, 'gone');
  log.end();
  assert.deepEqual(lines[1], ['warn', 'repeated 2 times: gone', { peer: '::1', code: 'PEER_LOST', repeated: 2 }]);
  assert.equal(clock.waiting, 0);
  log.warn({ peer: '[::1]:1', code: 'PEER_LOST' }, 'gone');
  assert.equal(lines.length, 3);
  assert.equal(clock.waiting, 0);
});

test('however many kinds and peers there are, what is held and what is written is bounded', () => {
  const { lines, clock, log } = start();
  for (let count = 0; count < 5000; count += 1) {
    const peer = `10.0.${count >> 8}.${count & 255}:1`;
    log.warn({ peer, code: 'PEER_PROTOCOL' }, 'no route');
  }
  assert.equal(lines.length, 257);
  assert.equal(clock.waiting, 257);
  log.end();
  assert.deepEqual(lines.slice(257), [
    ['warn', 'repeated 4,743 times: warnings of other kinds and peers', { code: 'PEER_PROTOCOL', repeated: 4743 }],
  ]);
});
