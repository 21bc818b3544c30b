import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../src/core/errors.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { Turns } from '../../src/core/work/turns.ts';
import type { Attempt } from '../../src/pool/attempt.ts';
import type { Member } from '../../src/pool/member.ts';
import { Pool, type PoolSetup } from '../../src/pool/pool.ts';
import { ListedMembers } from '../../src/pool/sources/listed.ts';
import { RegisteredMembers } from '../../src/pool/sources/registered.ts';
import type { Port } from '../../src/wire/address.ts';
import { FakeClock } from '../support/legs.ts';

const makeMember = (number: number, more: Partial<Member> = {}): Member => ({
  hop: { host: `10.0.0.${number}`, port: 80 as Port },
  weight: 1,
  priority: 0,
  ...more,
});

interface Setup {
  readonly pool: Pool;
  readonly clock: FakeClock;
  /** The last part of the addresses of members that fail. */
  readonly dead: Set<number>;
  /** Members that checks were made on. */
  readonly checks: number[];
  /** Sends a request; its member. */
  send(key?: string): Promise<number>;
  /** Lets time pass, and whatever is due happen. */
  pass(ms: number): Promise<void>;
}

const numberOf = (member: Member) => Number(member.hop.host.split('.')[3]);

function makePool(t: TestContext, members: readonly Member[], options: Partial<PoolSetup> = {}): Setup {
  const clock = new FakeClock();
  const dead = new Set<number>();
  const checks: number[] = [];
  const look = async (member: Member) => {
    if (dead.has(numberOf(member))) throw new HoplineError('PEER_UNREACHABLE', 'dead');
  };
  const pool = new Pool({
    name: 'test',
    sources: [new ListedMembers(members)],
    health: { jitter: 0, slowStartMs: 0 },
    probe: (member) => {
      checks.push(numberOf(member));
      return look(member);
    },
    maxMembers: 8,
    maxTries: 4,
    clock,
    log: silentLogger,
    random: () => 0.5,
    ...options,
  });
  t.after(async () => {
    await pool.close();
    assert.equal(clock.waiting, 0, 'a timer was left');
  });
  const send = (key?: string) => {
    const attempt = async (member: Member) => {
      await look(member);
      return numberOf(member);
    };
    return pool.run(attempt, key === undefined ? {} : { key });
  };
  const pass = async (ms: number) => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { pool, clock, dead, checks, send, pass };
}

const three = [makeMember(1), makeMember(2), makeMember(3)];

test('a dead member is out after one interval, without a request, and comes back by itself', async (t) => {
  const { pool, dead, pass } = makePool(t, three);
  const up = () => pool.members().map((member) => member.up);
  dead.add(2);
  await pass(999);
  assert.deepEqual(up(), [true, true, true]);
  await pass(1);
  assert.deepEqual(up(), [true, false, true]);
  dead.delete(2);
  await pass(1000);
  assert.deepEqual(up(), [true, true, true]);
});

test('a check that gets no answer fails when its time is over, and is told to stop', async (t) => {
  let told: AbortSignal | undefined;
  const probe = (_member: Member, signal: AbortSignal) => {
    told = signal;
    return new Promise<void>(() => {});
  };
  const { pool, pass } = makePool(t, [makeMember(1)], { probe, health: { jitter: 0, timeoutMs: 300 } });
  await pass(1000);
  await pass(299);
  assert.equal(pool.members()[0]?.up, true);
  await pass(1);
  assert.equal(pool.members()[0]?.up, false);
  assert.equal(told?.aborted, true);
});

test('an answer takes the place of a check, and the next is due one interval later', async (t) => {
  const { checks, send, pass } = makePool(t, [makeMember(1)]);
  await pass(900);
  await send();
  await pass(100);
  assert.deepEqual(checks, []);
  await pass(799);
  assert.deepEqual(checks, []);
  await pass(101);
  assert.deepEqual(checks, [1]);
});

test('checks come early by the jitter, never late', async (t) => {
  const { checks, pass } = makePool(t, [makeMember(1)], { health: { jitter: 0.2 }, random: () => 1 });
  await pass(799);
  assert.deepEqual(checks, []);
  await pass(1);
  assert.deepEqual(checks, [1]);
});

test('a request that meets a dead member is answered by another, and the turns of the rest stay even', async (t) => {
  const { dead, send } = makePool(t, three);
  dead.add(2);
  const counts = new Map<number, number>();
  for (let turn = 0; turn < 100; turn += 1) {
    const member = await send();
    counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  assert.deepEqual(Object.fromEntries(counts), { 1: 50, 3: 50 });
});

test('requests at once are exactly even, also when one member dies among them', async (t) => {
  const { dead, send } = makePool(t, three);
  dead.add(1);
  const members = await Promise.all(Array.from({ length: 300 }, () => send()));
  const counts = [2, 3].map((number) => members.filter((member) => member === number).length);
  assert.deepEqual(
    counts.reduce((sum, one) => sum + one),
    300,
  );
  assert.ok(Math.abs((counts[0] ?? 0) - 150) <= 50, counts.join());
});

test('a member that failed a request stays out for its back-off, though checks find it up', async (t) => {
  const { pool, send, pass } = makePool(t, three);
  let failing = true;
  await pool.run(async (member) => {
    if (failing && numberOf(member) === 1) {
      failing = false;
      throw new HoplineError('TIMEOUT_IDLE', 'hung');
    }
  });
  const picked = async () => new Set([await send(), await send(), await send(), await send()]);
  assert.deepEqual(await picked(), new Set([3, 2]));
  await pass(999);
  assert.deepEqual(await picked(), new Set([3, 2]));
  await pass(1);
  assert.deepEqual(await picked(), new Set([3, 1, 2]));
});

test('what is no failure of a member counts against none, and is tried on no other', async (t) => {
  const { pool } = makePool(t, three);
  let tries = 0;
  const mistaken = pool.run(async () => {
    tries += 1;
    throw new TypeError('a mistake of this process');
  });
  await assert.rejects(mistaken, TypeError);
  assert.equal(tries, 1);
  assert.deepEqual(
    pool.members().map(({ ejected }) => ejected),
    [false, false, false],
  );
});

test('when all are ejected they are used all the same, and only checks take the last one out', async (t) => {
  const { pool, dead, send, pass } = makePool(t, three.slice(0, 2));
  for (const number of [1, 2]) dead.add(number);
  await assert.rejects(send(), { code: 'PEER_UNREACHABLE' });
  assert.deepEqual(
    pool.members().map(({ ejected }) => ejected),
    [true, true],
  );
  dead.clear();
  assert.deepEqual([await send(), await send()].sort(), [1, 2]);
  for (const number of [1, 2]) dead.add(number);
  await pass(1000);
  await pass(1000);
  await assert.rejects(send(), { code: 'POOL_EMPTY' });
});

test('a pool that is empty says so once, and once when it is not any more, however many ask', async (t) => {
  const told: string[] = [];
  const tell = (_: object, message: string) => void told.push(message);
  const log: Logger = { ...silentLogger, info: tell, warn: tell };
  const { dead, send, pass } = makePool(t, three.slice(0, 1), { log });
  for (let round = 0; round < 2; round += 1) {
    dead.add(1);
    await pass(1000);
    await pass(1000);
    for (let asked = 0; asked < 3; asked += 1) await assert.rejects(send(), { code: 'POOL_EMPTY' });
    dead.clear();
    await pass(1000);
    await pass(1000);
    for (let asked = 0; asked < 3; asked += 1) assert.equal(await send(), 1);
  }
  const empty = 'no member of the pool is up: who asks for it is refused from now on';
  const back = 'a member of the pool is up again';
  assert.deepEqual(
    told.filter((message) => message.includes('of the pool')),
    [empty, back, empty, back],
  );
});

test('a request is not repeated once a part of its answer has gone out', async (t) => {
  const { pool } = makePool(t, three);
  let tries = 0;
  const begin = async (attempt: Attempt) => {
    tries += 1;
    attempt.commit();
    throw new HoplineError('PEER_LOST', 'cut');
  };
  await assert.rejects(pool.begin(begin), { code: 'PEER_LOST' });
  assert.equal(tries, 1);
});

test('a request is tried on so many members, each once', async (t) => {
  const { pool } = makePool(t, three, { maxTries: 2 });
  const tried: number[] = [];
  const attempt = async (member: Member) => {
    tried.push(numberOf(member));
    throw new HoplineError('PEER_LOST', 'poison');
  };
  await assert.rejects(pool.run(attempt), { code: 'PEER_LOST' });
  assert.deepEqual(tried, [1, 2]);
});

test('a request is under way at the member where it began until it has ended, well or not', async (t) => {
  const { pool } = makePool(t, three);
  const underWay = () => pool.members().map(({ inFlight }) => inFlight);
  const [, first] = await pool.begin(async () => {});
  const [, second] = await pool.begin(async () => {});
  assert.deepEqual(underWay(), [1, 1, 0]);
  first.succeeded();
  assert.equal(second.failed(new HoplineError('PEER_LOST', 'cut')), true);
  assert.deepEqual(underWay(), [0, 0, 0]);
  assert.deepEqual(
    pool.members().map(({ ejected }) => ejected),
    [false, true, false],
  );
});

test('whoever asked and went away leaves no blame on the member', async (t) => {
  const { pool } = makePool(t, three);
  const gone = new AbortController();
  const attempt = async () => {
    gone.abort(new HoplineError('PEER_LOST', 'the client left'));
    throw new HoplineError('PEER_LOST', 'cut');
  };
  await assert.rejects(pool.run(attempt, { signal: gone.signal }), { message: 'the client left' });
  assert.ok(pool.members().every(({ ejected }) => !ejected));
});

test('a member that was out gets a share that grows', async (t) => {
  const { dead, send, pass } = makePool(t, three.slice(0, 2), { health: { jitter: 0, slowStartMs: 8000 } });
  dead.add(1);
  await pass(1000);
  dead.delete(1);
  await pass(1000);
  const share = async () => {
    let count = 0;
    for (let turn = 0; turn < 200; turn += 1) count += (await send()) === 1 ? 1 : 0;
    return count;
  };
  const first = await share();
  assert.ok(first > 0 && first <= 20, String(first));
  for (let second = 0; second < 4; second += 1) await pass(1000);
  const middle = await share();
  assert.ok(middle > 50 && middle < 85, String(middle));
  for (let second = 0; second < 4; second += 1) await pass(1000);
  const last = await share();
  assert.ok(last >= 99 && last <= 101, String(last));
});

test('members of a higher priority number are a reserve', async (t) => {
  const reserve = makeMember(3, { priority: 1 });
  const { dead, send, pass } = makePool(t, [reserve, makeMember(1), makeMember(2)]);
  assert.deepEqual([await send(), await send(), await send()], [1, 2, 1]);
  dead.add(1).add(2);
  assert.equal(await send(), 3);
  await pass(1000);
  assert.deepEqual([await send(), await send()], [3, 3]);
  dead.delete(1);
  await pass(1000);
  assert.equal(await send(), 1);
});

test('a member that is named twice, by one source or two, is one; too many are left out', async (t) => {
  const registered = new RegisteredMembers();
  registered.add(makeMember(1));
  registered.add(makeMember(9, { hop: { host: 'EXAMPLE.org', port: 80 as Port } }));
  const sources = [new ListedMembers([...three, makeMember(2)]), registered];
  const { pool } = makePool(t, [], { sources, maxMembers: 4 });
  assert.equal(registered.add(makeMember(9, { hop: { host: 'example.org', port: 80 as Port } })), false);
  registered.add(makeMember(5));
  assert.deepEqual(
    pool.members().map(({ name }) => name),
    ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', 'example.org:80'],
  );
});

test('members that a pool has no room for are told in one line, and again when there are more', async (t) => {
  const lines: [Readonly<Record<string, unknown>>, string][] = [];
  const log: Logger = { ...silentLogger, warn: (fields, message) => lines.push([fields, message]) };
  const registered = new RegisteredMembers();
  makePool(t, [], { sources: [registered], maxMembers: 2, log });
  const manyMembers = Array.from({ length: 46 }, (_, index) => makeMember(index + 1));
  registered.replace(manyMembers);
  registered.replace([...manyMembers].reverse());
  registered.replace([...manyMembers, makeMember(47)]);
  const message = 'the pool has its 2 members; others are left out';
  assert.deepEqual(lines, [
    [{ pool: 'test', members: 44 }, message],
    [{ pool: 'test', members: 45 }, message],
  ]);
});

test('a member that left is not checked any more, and its requests under way go on', async (t) => {
  const registered = new RegisteredMembers();
  for (const member of three) registered.add(member);
  const { pool, checks, pass } = makePool(t, [], { sources: [registered] });
  let finish = () => {};
  const request = pool.run(
    (member) =>
      new Promise<number>((resolve) => {
        finish = () => resolve(numberOf(member));
      }),
  );
  registered.remove('10.0.0.1:80');
  await pass(1000);
  assert.deepEqual(checks, [2, 3]);
  finish();
  assert.equal(await request, 1);
});

test('recheck looks at once at a member that is down, and at no other', async (t) => {
  const { pool, dead, checks, pass } = makePool(t, three);
  dead.add(1);
  await pass(1000);
  dead.delete(1);
  checks.length = 0;
  for (const { name } of pool.members()) pool.recheck(name);
  pool.recheck('10.0.0.99:80');
  await pass(0);
  assert.deepEqual(checks, [1]);
  assert.equal(pool.members()[0]?.up, true);
});

/** A pool whose members say themselves that they are there. */
function makeHearsay(t: TestContext, count: number, options: Partial<PoolSetup> = {}) {
  const registered = new RegisteredMembers({ isHearsay: true });
  for (let number = 1; number <= count; number += 1) registered.add(makeMember(number));
  const [proven, down]: [string[], string[]] = [[], []];
  const setup = makePool(t, [], {
    sources: [registered],
    probation: { turns: new Turns(2), onProven: (name) => proven.push(name) },
    onDown: (name) => down.push(name),
    maxMembers: 64,
    ...options,
  });
  return { ...setup, registered, proven, down };
}

test('a member that says itself that it is there is checked at once, and until then others go first', async (t) => {
  const { pool, send, pass, registered, proven } = makeHearsay(t, 1);
  assert.equal(await send(), 1);
  await pass(0);
  assert.deepEqual(proven, ['10.0.0.1:80']);
  registered.add(makeMember(2));
  assert.deepEqual([await send(), await send(), pool.isProven('10.0.0.2:80')], [1, 1, false]);
  await pass(0);
  assert.deepEqual(new Set([await send(), await send()]), new Set([1, 2]));
});

test('one that never answers is checked less and less, also when it registers again and again', async (t) => {
  const { pool, dead, checks, pass, down } = makeHearsay(t, 1);
  dead.add(1);
  const at: number[] = [];
  for (let ms = 0; ms <= 40_000; ms += 500) {
    pool.recheck('10.0.0.1:80');
    await pass(ms === 0 ? 0 : 500);
    while (at.length < checks.length) at.push(ms);
  }
  assert.deepEqual(at, [0, 2000, 6000, 14_000, 30_000]);
  assert.equal(down.length, 5);
  dead.delete(1);
  await pass(16_000);
  await pass(1000);
  assert.deepEqual([checks.length, pool.isUp('10.0.0.1:80')], [7, true]);
});

test('of thousands that say so themselves, a few are checked at once', async (t) => {
  let underWay = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const probe = () => {
    underWay += 1;
    most = Math.max(most, underWay);
    return new Promise<void>((resolve) => {
      ends.push(() => {
        underWay -= 1;
        resolve();
      });
    });
  };
  const { pass, proven } = makeHearsay(t, 20, { probe });
  await pass(0);
  for (let ended = 0; ended < 20; ended += 1) {
    ends[ended]?.();
    await pass(0);
  }
  assert.deepEqual([most, proven.length], [2, 20]);
});

test('what is under way is counted', async (t) => {
  const { pool } = makePool(t, three.slice(0, 1));
  const attempt = async () => pool.members()[0]?.inFlight;
  assert.equal(await pool.run(attempt), 1);
  assert.equal(pool.members()[0]?.inFlight, 0);
});

test('a key stays with its member while others come and go', async (t) => {
  const { dead, send } = makePool(t, three, { algorithm: 'consistent-hash' });
  const home = await send('client 7');
  dead.add((home % 3) + 1);
  for (let turn = 0; turn < 10; turn += 1) assert.equal(await send('client 7'), home);
});

test('a member to be avoided is picked only if there is no other, one that is ejected before it', async (t) => {
  const { pool, dead, send } = makePool(
    t,
    [1, 2, 3].map((number) => makeMember(number)),
    { maxTries: 1 },
  );
  const sendPast = (avoid: readonly string[]) => pool.run(async (member) => numberOf(member), { avoid });
  for (let turn = 0; turn < 4; turn += 1) assert.equal(await sendPast(['10.0.0.1:80', '10.0.0.2:80']), 3);
  dead.add(3);
  while (!pool.members()[2]?.ejected) await send().catch(() => {});
  assert.equal(await sendPast(['10.0.0.1:80', '10.0.0.2:80']), 3);
  assert.ok((await sendPast(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'])) < 3);
});

test('what a member told of its load at its last check is known, and nothing once it tells nothing', async (t) => {
  const told = [{ open: 3, max: 8 }, undefined];
  const probe: PoolSetup['probe'] = async (_member, _signal, tell) => {
    const load = told.shift();
    if (load) tell(load);
  };
  const { pool, pass } = makePool(t, [makeMember(1)], { probe });
  const load = () => pool.members()[0]?.load;
  assert.equal(load(), undefined);
  await pass(1000);
  assert.deepEqual(load(), { open: 3, max: 8 });
  await pass(1000);
  assert.equal(load(), undefined);
});
