import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registrations } from '../../../src/node/pools/registrations.ts';
import type { Port } from '../../../src/wire/address.ts';
import { FakeClock } from '../../support/legs.ts';

function start(most: { maxRegistered?: number; maxPeerRegistered?: number } = {}) {
  const clock = new FakeClock();
  const forgotten: string[] = [];
  const limits = { maxRegistered: 4, maxPeerRegistered: 2, forgetMs: 60_000, forgetNewMs: 10_000, ...most };
  const registrations = new Registrations({ limits, clock }, ({ name }) => forgotten.push(name));
  const enter = (host: string, port: number, pool = 'PP') => {
    const name = `${host}:${port}`;
    const member = { hop: { host, port: port as Port }, weight: 1, priority: 0 };
    registrations.enter({ pool, name, member, form: 'string' });
    return name;
  };
  return { clock, forgotten, registrations, enter };
}

const full = { code: 'LIMIT_MEMBERS' };

test('an address has its share, in all pools together, and all addresses theirs', () => {
  const { enter } = start();
  enter('10.0.0.1', 1);
  enter('10.0.0.1', 1);
  enter('10.0.0.1', 1, 'other');
  assert.throws(() => enter('10.0.0.1', 2), { ...full, reason: 'maxPeerRegistered' });
  enter('10.0.0.2', 1);
  enter('10.0.0.3', 1);
  assert.throws(() => enter('10.0.0.4', 1), { ...full, reason: 'maxRegistered' });
});

test('one that a check has not found gives way to another, the one that was silent for longest first', () => {
  const { clock, forgotten, registrations, enter } = start({ maxPeerRegistered: 3, maxRegistered: 3 });
  const [first, second, third] = [1, 2, 3].map((port) => enter('10.0.0.1', port));
  for (const name of [first, second, third]) registrations.fail('PP', name as string, 0);
  assert.throws(() => enter('10.0.0.1', 4), full, 'it had no second to be found');
  clock.advance(1000);
  enter('10.0.0.1', 1);
  clock.advance(1000);
  enter('10.0.0.1', 4);
  enter('10.0.0.2', 5);
  assert.deepEqual(forgotten, [second, third]);
});

test('one that answered keeps its place, and so does one that was not looked at yet', () => {
  const { clock, forgotten, registrations, enter } = start();
  registrations.prove('PP', enter('10.0.0.1', 1));
  registrations.fail('PP', '10.0.0.1:1', 1000);
  enter('10.0.0.1', 2);
  clock.advance(9999);
  assert.throws(() => enter('10.0.0.1', 3), full);
  assert.deepEqual(forgotten, []);
  clock.advance(1);
  enter('10.0.0.1', 3);
  assert.deepEqual(forgotten, ['10.0.0.1:2']);
});

test('another address takes no place within the share of one', () => {
  const { clock, forgotten, registrations, enter } = start({ maxRegistered: 10 });
  registrations.fail('PP', enter('10.0.0.2', 1), 0);
  clock.advance(1000);
  for (const port of [1, 2]) enter('10.0.0.1', port);
  assert.throws(() => enter('10.0.0.1', 3), full);
  assert.deepEqual(forgotten, []);
});

test('one that never answered is forgotten soon, and one that did much later; each gives its share back', () => {
  const { clock, forgotten, registrations, enter } = start();
  const [silent, gone] = [enter('10.0.0.1', 1), enter('10.0.0.1', 2)];
  registrations.prove('PP', gone);
  clock.advance(9999);
  for (const name of [silent, gone]) registrations.fail('PP', name, 9999);
  assert.deepEqual(forgotten, []);
  clock.advance(1);
  for (const name of [silent, gone]) registrations.fail('PP', name, 10_000);
  assert.deepEqual(forgotten, [silent]);
  registrations.fail('PP', gone, 60_000);
  assert.deepEqual(forgotten, [silent, gone]);
  for (const port of [3, 4]) enter('10.0.0.1', port);
  assert.equal(registrations.find('PP', gone), undefined);
});

test('whoever registers again and again is not silent', () => {
  const { clock, forgotten, registrations, enter } = start();
  const name = enter('10.0.0.1', 1);
  clock.advance(9000);
  enter('10.0.0.1', 1);
  clock.advance(9000);
  registrations.fail('PP', name, 18_000);
  assert.deepEqual(forgotten, []);
});
