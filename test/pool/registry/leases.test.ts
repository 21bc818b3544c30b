import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { systemClock } from '../../../src/core/clock.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import { defaultLimits, type Limits } from '../../../src/core/limits.ts';
import { type Logger, silentLogger } from '../../../src/core/log.ts';
import { type Member, nameMember } from '../../../src/pool/member.ts';
import { formatEntry, type LeaseEntry, parseEntry } from '../../../src/pool/registry/lease-text.ts';
import { type Holding, SharedRegistry, type Store } from '../../../src/pool/registry/leases.ts';
import { redisStore } from '../../../src/pool/registry/redis-store.ts';
import type { Port } from '../../../src/wire/address.ts';
import { until } from '../../support/chain.ts';
import { FakeClock } from '../../support/legs.ts';
import { startRedis, withoutRedis } from '../../support/redis.ts';
import { repository } from '../../support/repository.ts';
import { sourceContract } from '../source.contract.ts';

const pool = 'PP_1';
const limits: Limits = { ...defaultLimits, leaseMs: 3000, storePollMs: 100 };
/** For what was told to be with whoever reads: no renewal, no lease, no retry takes as little. */
const storedMs = 2 * limits.storePollMs;
const memberAt = (host: string): Member => ({ hop: { host, port: 80 as Port }, weight: 1, priority: 0 });
const entryAt = (host: string, more: Partial<LeaseEntry> = {}): LeaseEntry => ({
  pool,
  member: memberAt(host),
  ...more,
});
const nameAt = (host: string) => `${host}:80`;

/** A store in memory, by the clock of the test. */
class FakeStore {
  readonly clock = new FakeClock();
  readonly entries = new Map<string, number>();
  isAway = false;
  since = 'the start';
  open = 0;
  renewals = 0;

  readonly connect = async (): Promise<Store> => {
    this.#check();
    this.open += 1;
    let known: string | undefined;
    return {
      exchange: async ({ renew, leave }) => {
        this.#check();
        const now = this.clock.now();
        this.renewals += renew.length;
        for (const text of renew) this.entries.set(text, now + limits.leaseMs);
        for (const text of leave) this.entries.delete(text);
        for (const [text, ends] of this.entries) if (ends <= now) this.entries.delete(text);
        const found = { entries: [...this.entries.keys()].sort(), since: this.since };
        if (JSON.stringify(found) === known) return undefined;
        known = JSON.stringify(found);
        return found;
      },
      close: () => {
        this.open -= 1;
      },
    };
  };

  #check(): void {
    if (this.isAway) throw new HoplineError('PEER_UNREACHABLE', 'the store is away', { reason: 'ECONNREFUSED' });
  }

  empty(): void {
    this.entries.clear();
    this.since += ', and again';
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(50);
      for (let turns = 0; turns < 5; turns += 1) await turn();
    }
  }
}

/** A registry at a store in memory. */
function openFake(t: TestContext, store: FakeStore, log = silentLogger, connect = store.connect): SharedRegistry {
  const { clock } = store;
  const isSelf = (host: string) => host === '10.0.0.99';
  const registry = new SharedRegistry({ name: 'fake', connect }, { isSelf, limits, clock, log });
  t.after(() => registry.close());
  return registry;
}

/** The names of a pool's members, as they are now. */
function watchNames(t: TestContext, registry: SharedRegistry): () => readonly string[] {
  let names: readonly string[] = [];
  const stop = new AbortController();
  const watching = registry.source(pool).watch((members) => {
    names = members.map(({ hop }) => nameMember(hop));
  }, stop.signal);
  t.after(() => {
    stop.abort();
    return watching;
  });
  return () => names;
}

function recordLog(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (level: string) => (_fields: object, message: string) => void lines.push(`${level} ${message}`);
  return { lines, log: { ...silentLogger, info: write('info'), warn: write('warn') } };
}

sourceContract('a shared registry', async (t, members) => {
  const store = new FakeStore();
  const registry = openFake(t, store);
  const write = (next: readonly Member[]) => {
    store.entries.clear();
    for (const member of next) store.entries.set(formatEntry({ pool, member }), Number.POSITIVE_INFINITY);
  };
  write(members);
  await registry.started;
  return {
    source: registry.source(pool),
    change: async (next) => {
      const wasAway = store.isAway;
      store.isAway = false;
      write(next);
      await store.pass(wasAway ? 2 * limits.leaseMs : limits.storePollMs);
    },
    fail: () => {
      store.isAway = true;
      return store.pass(1000);
    },
    leftOver: () => 0,
  };
});

sourceContract('a registry in Redis', async (t, members) => {
  if (withoutRedis) {
    t.skip(withoutRedis);
    return { source: { watch: async (report) => report(members) }, leftOver: () => 0 };
  }
  const { url } = await startRedis(t);
  const quick = { ...limits, storePollMs: 10 };
  const redis = redisStore(url, { limits: quick, clock: systemClock });
  const writer = await redis.connect(new AbortController().signal);
  t.after(() => writer.close());
  let known: readonly string[] = [];
  const write = async (next: readonly Member[]) => {
    const texts = next.map((member) => formatEntry({ pool, member }));
    await writer.exchange({ renew: texts, leave: known.filter((text) => !texts.includes(text)) });
    known = texts;
  };
  await write(members);
  let exchanges = 0;
  const connect = async (signal: AbortSignal): Promise<Store> => {
    const store = await redis.connect(signal);
    const exchange: Store['exchange'] = (changes) => store.exchange(changes).finally(() => (exchanges += 1));
    return { ...store, exchange };
  };
  const more = { isSelf: () => false, limits: quick, clock: systemClock, log: silentLogger };
  const registry = new SharedRegistry({ ...redis, connect }, more);
  t.after(() => registry.close());
  await registry.started;
  return {
    source: registry.source(pool),
    change: async (next) => {
      await write(next);
      const before = exchanges;
      await until(() => exchanges >= before + 2);
    },
    leftOver: () => 0,
  };
});

test('a member is seen within two reads, with its note, and is gone as soon once it is given up', async (t) => {
  const store = new FakeStore();
  const [server, front] = [openFake(t, store), openFake(t, store)];
  const names = watchNames(t, front);
  await store.pass(limits.storePollMs);
  server.register(entryAt('10.0.0.1', { note: 'string' }));
  await store.pass(limits.storePollMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  assert.equal(front.note(nameAt('10.0.0.1')), 'string');
  assert.equal(front.has(pool), true);
  assert.equal(front.has('other'), false);
  server.leave(pool, nameAt('10.0.0.1'));
  await store.pass(limits.storePollMs);
  assert.deepEqual(names(), []);
});

test('a lease is renewed three times in its length, and only while its member is alive', async (t) => {
  const store = new FakeStore();
  const [server, front] = [openFake(t, store), openFake(t, store)];
  const names = watchNames(t, front);
  let isAlive = true;
  server.register(entryAt('10.0.0.1'), () => isAlive);
  await store.pass(10 * limits.leaseMs);
  assert.ok(store.renewals >= 27 && store.renewals <= 32, String(store.renewals));
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  isAlive = false;
  await store.pass(limits.leaseMs + limits.storePollMs);
  assert.deepEqual(names(), []);
  isAlive = true;
  await store.pass(limits.leaseMs / 3 + 2 * limits.storePollMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
});

test('who closes gives up what it said it would, and lets the other leases run out', async (t) => {
  const store = new FakeStore();
  const server = openFake(t, store);
  server.register(entryAt('10.0.0.1'));
  server.register(entryAt('10.0.0.2'));
  await store.pass(limits.storePollMs);
  server.leave(pool, nameAt('10.0.0.1'));
  await server.close();
  assert.deepEqual([...store.entries.keys()], [formatEntry(entryAt('10.0.0.2'))]);
  assert.equal(store.open, 0);
  assert.equal(store.clock.waiting, 0);
});

test('a node is no member to itself', async (t) => {
  const store = new FakeStore();
  const node = openFake(t, store);
  node.register(entryAt('10.0.0.99'));
  await store.pass(limits.leaseMs);
  assert.equal(store.entries.size, 1);
  assert.equal(node.has(pool), false);
});

test('a registration whose note changes takes the place of the one before', async (t) => {
  const store = new FakeStore();
  const server = openFake(t, store);
  for (const note of ['number', 'string']) {
    server.register(entryAt('10.0.0.1', { note }));
    await store.pass(limits.storePollMs);
  }
  assert.deepEqual([...store.entries.keys()], [formatEntry(entryAt('10.0.0.1', { note: 'string' }))]);
});

test('a store that is away and comes back empty takes no member away; it is told of once, and so is its return', async (t) => {
  const store = new FakeStore();
  const { log, lines } = recordLog();
  // Whoever holds the lease notices later than the front that the store is back.
  let isLate = false;
  const connect = () => (isLate ? Promise.reject(new Error()) : store.connect());
  const [server, front] = [openFake(t, store, silentLogger, connect), openFake(t, store, log)];
  server.register(entryAt('10.0.0.1'));
  const names = watchNames(t, front);
  await store.pass(limits.leaseMs);
  let fewest = 1;
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 50) {
      await store.pass(50);
      fewest = Math.min(fewest, names().length);
    }
  };
  store.isAway = true;
  isLate = true;
  await pass(10 * limits.leaseMs);
  store.entries.clear();
  store.isAway = false;
  await pass(1300);
  isLate = false;
  await pass(10 * limits.leaseMs);
  assert.equal(fewest, 1);
  assert.deepEqual(lines, [
    'info members in the registry have changed',
    'warn the registry is lost; the members known last stay: the store is away',
    'info the registry is back',
  ]);
});

test('a member whose lease nobody renews after the store has come back leaves a lease later', async (t) => {
  const store = new FakeStore();
  const [server, front] = [openFake(t, store), openFake(t, store)];
  server.register(entryAt('10.0.0.1'));
  const names = watchNames(t, front);
  await store.pass(limits.leaseMs);
  store.isAway = true;
  await store.pass(limits.storePollMs);
  await server.close();
  store.entries.clear();
  store.isAway = false;
  await store.pass(limits.leaseMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  await store.pass(2 * limits.leaseMs);
  assert.deepEqual(names(), []);
});

test('a store that is emptied while it runs takes no member away, though its holder renews late', async (t) => {
  const store = new FakeStore();
  const { log, lines } = recordLog();
  const [server, front] = [openFake(t, store), openFake(t, store, log)];
  server.register(entryAt('10.0.0.1'));
  const names = watchNames(t, front);
  await store.pass(storedMs);
  // Of a holder that reads nothing between two renewals.
  await server.close();
  store.empty();
  await store.pass(limits.leaseMs - 2 * limits.storePollMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  store.entries.set(formatEntry(entryAt('10.0.0.1')), Number.POSITIVE_INFINITY);
  await store.pass(2 * limits.leaseMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  assert.deepEqual(lines, [
    'info members in the registry have changed',
    'warn the registry was emptied; the members known last stay for one lease more',
  ]);
});

test('a member of a store that was emptied leaves after one lease if nobody renews it, and who leaves is gone at once', async (t) => {
  const store = new FakeStore();
  const [server, other, front] = [openFake(t, store), openFake(t, store), openFake(t, store)];
  server.register(entryAt('10.0.0.1'));
  other.register(entryAt('10.0.0.2'));
  const names = watchNames(t, front);
  await store.pass(storedMs);
  await server.close();
  store.empty();
  await store.pass(storedMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1'), nameAt('10.0.0.2')]);
  other.leave(pool, nameAt('10.0.0.2'));
  await store.pass(storedMs);
  assert.deepEqual(names(), [nameAt('10.0.0.1')]);
  await store.pass(limits.leaseMs + storedMs);
  assert.deepEqual(names(), []);
});

test('a node whose store was emptied renews its leases at once', async (t) => {
  const store = new FakeStore();
  const server = openFake(t, store);
  server.register(entryAt('10.0.0.1'));
  await store.pass(storedMs);
  store.empty();
  await store.pass(storedMs);
  assert.deepEqual([...store.entries.keys()], [formatEntry(entryAt('10.0.0.1'))]);
});

test('the log tells who came and who left through the registry', async (t) => {
  const store = new FakeStore();
  const told: Readonly<Record<string, unknown>>[] = [];
  const log: Logger = { ...silentLogger, info: (fields) => told.push(fields) };
  const server = openFake(t, store);
  openFake(t, store, log);
  server.register(entryAt('10.0.0.1'));
  server.register(entryAt('10.0.0.2'));
  await store.pass(storedMs);
  server.leave(pool, nameAt('10.0.0.1'));
  await store.pass(storedMs);
  assert.deepEqual(told, [
    { registry: 'fake', joined: '10.0.0.1:80 of PP_1, 10.0.0.2:80 of PP_1', members: 2 },
    { registry: 'fake', left: '10.0.0.1:80 of PP_1', members: 1 },
  ]);
});

/** A connection of whoever runs the store. */
async function openAdmin(t: TestContext, url: string) {
  const admin = createClient({ url, RESP: 2, socket: { reconnectStrategy: false } });
  // The server ends before it.
  admin.on('error', () => {});
  await admin.connect();
  t.after(() => {
    if (admin.isOpen) admin.destroy();
  });
  return admin;
}

test('Redis that is emptied while it runs says that it was, and knows the script no more or still', {
  skip: withoutRedis,
}, async (t) => {
  const { url } = await startRedis(t);
  const store = await redisStore(url, { limits, clock: systemClock }).connect(new AbortController().signal);
  t.after(() => store.close());
  const admin = await openAdmin(t, url);
  const before = await store.exchange({ renew: ['a'], leave: [] });
  for (const command of [['FLUSHALL'], ['SCRIPT', 'FLUSH'], ['FLUSHALL']]) await admin.sendCommand(command);
  const after = await store.exchange({ renew: ['b'], leave: [] });
  assert.deepEqual(after?.entries, ['b']);
  assert.notEqual(after?.since, before?.since);
  assert.equal(await store.exchange({ renew: [], leave: [] }), undefined);
});

test('the script goes to Redis once, and is called by its digest from then on', { skip: withoutRedis }, async (t) => {
  const { url } = await startRedis(t);
  const store = await redisStore(url, { limits, clock: systemClock }).connect(new AbortController().signal);
  t.after(() => store.close());
  const admin = await openAdmin(t, url);
  for (let times = 0; times < 5; times += 1) await store.exchange({ renew: [], leave: [] });
  const calls = String(await admin.info('commandstats'));
  assert.match(calls, /cmdstat_eval:calls=1,/);
  assert.match(calls, /cmdstat_evalsha:calls=5,/);
});

test('a registry that is lost is told with the reason why', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t);
  const store = await redisStore(redis.url, { limits, clock: systemClock }).connect(new AbortController().signal);
  t.after(() => store.close());
  const admin = await openAdmin(t, redis.url);
  await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
  let failure: unknown;
  await until(async () => {
    failure = await store.exchange({ renew: [], leave: [] }).catch((error) => error);
    return failure instanceof HoplineError;
  });
  for (const error of [failure, await store.exchange({ renew: [], leave: [] }).catch((again) => again)]) {
    assert.match((error as HoplineError).message, /: Socket closed unexpectedly$/);
  }
});

test('what is no entry, or more than a node takes, is left out, and that is told once', async (t) => {
  const store = new FakeStore();
  const { log, lines } = recordLog();
  const hostile = ['', 'null', '[]', '{', '{"pool":"PP_1"}', '{"pool":"","at":"10.0.0.1:80"}', 'x'.repeat(5000)];
  for (const text of hostile) store.entries.set(text, Number.POSITIVE_INFINITY);
  for (let n = 0; n < limits.maxPoolMembers + 5; n += 1) {
    store.entries.set(formatEntry(entryAt(`10.0.${n >> 8}.${n & 255}`)), Number.POSITIVE_INFINITY);
  }
  for (let n = 0; n < limits.maxPools + 5; n += 1) {
    store.entries.set(formatEntry(entryAt('10.9.0.1', { pool: `pool ${n}` })), Number.POSITIVE_INFINITY);
  }
  const front = openFake(t, store, log);
  const names = watchNames(t, front);
  await store.pass(limits.leaseMs);
  assert.equal(names().length, limits.maxPoolMembers);
  const pools = Array.from({ length: limits.maxPools + 5 }, (_, n) => front.has(`pool ${n}`));
  assert.equal(pools.filter(Boolean).length, limits.maxPools - 1);
  assert.deepEqual(lines, ['warn the registry has entries of no use', 'info members in the registry have changed']);
});

for (const at of ['10.0.0.1', '10.0.0.1:0', '10.0.0.1:80000', 'a b:80', '@pool', '']) {
  test(`an entry at "${at}" is none`, () => {
    assert.equal(parseEntry(JSON.stringify({ pool, at })), undefined);
  });
}

for (const more of [{ weight: 0 }, { weight: 1.5 }, { weight: '1' }, { priority: -1 }, { note: 5 }, { pool: 7 }]) {
  test(`an entry with ${JSON.stringify(more)} is none`, () => {
    assert.equal(parseEntry(JSON.stringify({ pool, at: '10.0.0.1:80', ...more })), undefined);
  });
}

test('an entry is the same after its way as text, whatever a later version adds', () => {
  const entry = { pool, member: { ...memberAt('::1'), weight: 3, priority: 2 }, note: 'string' };
  assert.deepEqual(parseEntry(formatEntry(entry)), entry);
  assert.deepEqual(parseEntry(formatEntry(entry).replace('{', '{"later":true,')), entry);
});

for (const url of ['', 'redis', 'http://127.0.0.1:6379', 'redis:///1', 'redis://h/one', 'redis://me:secret@h/1?x=y']) {
  test(`"${url}" is no URL of a registry, and no password is repeated`, () => {
    const open = () => redisStore(url, { limits, clock: systemClock });
    assert.throws(open, (error: HoplineError) => error.code === 'USAGE_INVALID' && !error.message.includes('secret'));
  });
}

test('a store is called by its URL without user and password', () => {
  const { name } = redisStore('rediss://me:secret@redis.example:6380/2', { limits, clock: systemClock });
  assert.equal(name, 'rediss://redis.example:6380/2');
});

test('a store that refuses, or that nobody runs, says so, without a password', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t, ['--requirepass', 'right password']);
  const { signal } = new AbortController();
  const connect = (url: string) => redisStore(url, { limits, clock: systemClock }).connect(signal);
  const place = redis.url.replace('redis://', '');
  const isRefusal = (word: RegExp) => (error: HoplineError) =>
    error.code === 'PEER_UNREACHABLE' && word.test(error.message) && !/wrong/.test(error.message);
  await assert.rejects(connect(`redis://:wrong@${place}`), isRefusal(/WRONGPASS/));
  const store = await connect(`redis://:right%20password@${place}/3`);
  assert.deepEqual((await store.exchange({ renew: [], leave: [] }))?.entries, []);
  await redis.kill();
  await assert.rejects(store.exchange({ renew: [], leave: [] }), isRefusal(/./));
  store.close();
  await assert.rejects(connect(redis.url), (error: HoplineError) => error.reason === 'ECONNREFUSED');
});

test('a store that hangs is one that does not answer in time', { skip: withoutRedis }, async (t) => {
  const redis = await startRedis(t);
  const impatient = { limits: { ...limits, storeMs: 100 }, clock: systemClock };
  const { connect } = redisStore(redis.url, impatient);
  const store = await connect(new AbortController().signal);
  t.after(() => store.close());
  redis.hang();
  await assert.rejects(store.exchange({ renew: [], leave: [] }), { code: 'TIMEOUT_CONNECT' });
});

test('a store takes no more from Redis than so many entries, each of so many bytes', {
  skip: withoutRedis,
}, async (t) => {
  const { url } = await startRedis(t);
  const few = { ...limits, maxSharedMembers: 2 };
  const store = await redisStore(url, { limits: few, clock: systemClock }).connect(new AbortController().signal);
  t.after(() => store.close());
  const renew = ['c', 'b', 'a'.repeat(2000), 'd'];
  assert.deepEqual((await store.exchange({ renew, leave: [] }))?.entries, ['b', 'c']);
  assert.equal(await store.exchange({ renew: [], leave: ['d'] }), undefined);
});

test('a lease in Redis runs out by its own clock', { skip: withoutRedis }, async (t) => {
  const { url } = await startRedis(t);
  const brief = { ...limits, leaseMs: 100 };
  const store = await redisStore(url, { limits: brief, clock: systemClock }).connect(new AbortController().signal);
  t.after(() => store.close());
  assert.deepEqual((await store.exchange({ renew: ['a'], leave: [] }))?.entries, ['a']);
  let held: Holding | undefined;
  await until(async () => {
    held = await store.exchange({ renew: [], leave: [] });
    return held !== undefined;
  });
  assert.deepEqual(held?.entries, []);
});

test('a user who may do no more than docs/pools.md says is enough', { skip: withoutRedis }, async (t) => {
  const rights = '~hopline:members +evalsha +eval +time +zadd +zrem +zremrangebyscore +zrange +select';
  const { url } = await startRedis(t, ['--user', 'node', 'on', '>word', ...rights.split(' ')]);
  const redis = redisStore(`${url.replace('//', '//node:word@')}/1`, { limits, clock: systemClock });
  const store = await redis.connect(new AbortController().signal);
  t.after(() => store.close());
  assert.deepEqual((await store.exchange({ renew: ['a'], leave: ['b'] }))?.entries, ['a']);
  const text = await readFile(new URL('docs/pools.md', repository), 'utf8');
  const listed = [...text.matchAll(/`([~+][^`]*)`/g)].map(([, right = '']) => right).join(' ');
  assert.equal(listed.replaceAll(/\s+/g, ' '), rights);
});
