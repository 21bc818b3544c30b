import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Signal } from '../../../src/core/signal.ts';
import { shareLookups } from '../../../src/io/names/lookups.ts';
import type { Lookup } from '../../../src/io/names/resolve.ts';
import { FakeClock } from '../../support/legs.ts';

interface Asked {
  readonly name: string;
  readonly signal: Signal | undefined;
  readonly answer: (addresses: string[]) => void;
  readonly fail: (error: Error) => void;
}

function start(limits: { maxLookups?: number; maxPeerLookups?: number } = {}) {
  const clock = new FakeClock();
  const asked: Asked[] = [];
  const silent = (name: string, { signal }: Lookup = {}) =>
    new Promise<readonly string[]>((answer, fail) => void asked.push({ name, signal, answer, fail }));
  const most = { maxLookups: 4, maxPeerLookups: 2, lookupMs: 5000, lookupFailedMs: 2000, ...limits };
  const resolve = shareLookups(silent, { limits: most, clock });
  const look = (name: string, peer?: string, signal?: AbortSignal) => {
    const found = resolve(name, { peer, signal });
    found.catch(() => {});
    return found;
  };
  return { clock, asked, look, names: () => asked.map(({ name }) => name) };
}

test('equal lookups at a time are one, whoever asks and in whatever case', async () => {
  const { asked, look, names } = start();
  const found = [look('Some.Name', '10.0.0.1'), look('some.name', '10.0.0.2'), look('SOME.NAME')];
  asked[0]?.answer(['10.1.1.1']);
  assert.deepEqual(await Promise.all(found), [['10.1.1.1'], ['10.1.1.1'], ['10.1.1.1']]);
  assert.deepEqual(names(), ['some.name']);
  void look('some.name');
  assert.equal(asked.length, 2, 'an answer was kept');
});

test('a peer whose share is full loses its oldest lookup, and nobody else does', async () => {
  const { asked, look } = start();
  const other = look('other', '10.0.0.2');
  const [first, second, third] = ['one', 'two', 'three'].map((name) => look(name, '10.0.0.1'));
  await assert.rejects(first as Promise<unknown>, { code: 'LIMIT_LOOKUPS', reason: 'maxPeerLookups' });
  assert.deepEqual(
    asked.map(({ signal }) => signal?.aborted),
    [false, true, false, false],
  );
  for (const { answer } of asked) answer(['10.1.1.1']);
  await Promise.all([other, second, third]);
});

test('a good name is answered while hundreds of silent ones of the same peer come and go', async () => {
  const { asked, look, names } = start({ maxPeerLookups: 64, maxLookups: 64 });
  for (let index = 0; index < 300; index += 1) void look(`silent${index}`, '127.0.0.1');
  const good = look('good', '127.0.0.1');
  for (let index = 300; index < 360; index += 1) void look(`silent${index}`, '127.0.0.1');
  asked[names().indexOf('good')]?.answer(['127.0.0.1']);
  assert.deepEqual(await good, ['127.0.0.1']);
  assert.equal(asked.filter(({ signal }) => signal?.aborted === false).length <= 64, true);
});

test('all peers together have their share, and the oldest goes', async () => {
  const { look } = start();
  const found = [1, 2, 3, 4, 5].map((host) => look(`name${host}`, `10.0.0.${host}`));
  await assert.rejects(found[0] as Promise<unknown>, { code: 'LIMIT_LOOKUPS', reason: 'maxLookups' });
  const settled = await Promise.race([Promise.any(found.slice(1)), turn('none')]);
  assert.equal(settled, 'none');
});

test('what no peer named has no share', () => {
  const { asked, look } = start();
  for (let index = 0; index < 20; index += 1) void look(`name${index}`);
  assert.ok(asked.every(({ signal }) => signal?.aborted === false));
});

test('a lookup is over in time, and a failure is not tried again for a moment', async () => {
  const { clock, asked, look } = start();
  const late = look('silent', '10.0.0.1');
  clock.advance(5000);
  await assert.rejects(late, { code: 'PEER_UNRESOLVED', reason: 'ETIMEOUT' });
  assert.equal(asked[0]?.signal?.aborted, true);
  await assert.rejects(look('silent', '10.0.0.2'), { code: 'PEER_UNRESOLVED', reason: 'ETIMEOUT' });
  assert.deepEqual([asked.length, clock.waiting], [1, 0]);
  clock.advance(2000);
  const again = look('silent', '10.0.0.1');
  asked[1]?.fail(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
  await assert.rejects(again, { code: 'ENOTFOUND' });
  await assert.rejects(look('silent'), { code: 'ENOTFOUND' });
  assert.equal(asked.length, 2);
});

test('a lookup that nobody waits for any more is cancelled, and is no failure', async () => {
  const { asked, look } = start();
  const [one, other] = [new AbortController(), new AbortController()];
  const found = [look('name', '10.0.0.1', one.signal), look('name', '10.0.0.2', other.signal)];
  one.abort(new Error('left'));
  await assert.rejects(found[0] as Promise<unknown>, /left/);
  assert.equal(asked[0]?.signal?.aborted, false);
  other.abort(new Error('left, too'));
  await assert.rejects(found[1] as Promise<unknown>, /left, too/);
  assert.equal(asked[0]?.signal?.aborted, true);
  void look('name');
  assert.equal(asked.length, 2);
});
