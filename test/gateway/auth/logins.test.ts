import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import { Logins } from '../../../src/gateway/auth/logins.ts';
import { createKeyedDigest, parseUsers } from '../../../src/gateway/auth/secret-lines.ts';
import { FakeClock } from '../../support/legs.ts';
import { hash, password } from '../../support/site-auth.ts';

const client = '192.0.2.1';

async function openLogins(given: Partial<typeof defaultLimits> = {}) {
  const digest = createKeyedDigest();
  const clock = new FakeClock();
  const limits = { ...defaultLimits, ...given };
  const logins = new Logins({ limits, clock, digest });
  return { logins, clock, limits, users: parseUsers(`alice:${await hash}`, 'users', digest) };
}

function isLimit(error: unknown): boolean {
  return error instanceof HoplineError && error.code === 'LIMIT_REQUESTS';
}

test('a password that was right once takes no turn any more, from whatever address', async () => {
  const { logins, users } = await openLogins({ maxPeerLogins: 1, maxLogins: 1 });
  const login = { name: 'alice', password, client };
  const [first, same] = await Promise.all([logins.judge(login, users), logins.judge(login, users)]);
  assert.equal(first?.name, 'alice');
  assert.equal(same, first, 'the same at once is judged once');
  // Takes the one place there is, for as long as it is judged.
  const guess = logins.judge({ ...login, password: 'guess' }, users);
  assert.equal(await logins.judge({ ...login, client: '192.0.2.2' }, users), first);
  await assert.rejects(logins.judge({ ...login, password: 'other', client: '192.0.2.2' }, users), isLimit);
  assert.equal(await guess, undefined);
  logins.close();
});

test('guesses of one address are few, whether the user is there or not, and others do not wait for that', async () => {
  const { logins, users, clock, limits } = await openLogins({ maxPeerLogins: 2 });
  assert.equal(await logins.judge({ name: 'alice', password: 'a', client }, users), undefined);
  assert.equal(await logins.judge({ name: 'nobody', password: 'b', client }, users), undefined);
  await assert.rejects(logins.judge({ name: 'alice', password: 'c', client }, users), isLimit);
  await assert.rejects(logins.judge({ name: 'nobody', password: 'c', client }, users), isLimit);
  assert.equal((await logins.judge({ name: 'alice', password, client: '192.0.2.2' }, users))?.name, 'alice');
  clock.advance(limits.loginFailedMs);
  assert.equal(await logins.judge({ name: 'alice', password: 'c', client }, users), undefined);
  logins.close();
  assert.equal(clock.waiting, 0, 'no timer is left');
});

test('a login that finds no turn in time is refused, and what it waited for goes on', async () => {
  const { logins, users, clock, limits } = await openLogins();
  const first = logins.judge({ name: 'alice', password, client }, users);
  const late = logins.judge({ name: 'alice', password: 'x', client: '192.0.2.2' }, users);
  const refused = assert.rejects(late, isLimit);
  clock.advance(limits.httpPlaceMs);
  await refused;
  assert.equal((await first)?.name, 'alice');
  logins.close();
});

test('a user who is not there costs what a wrong password costs', async () => {
  const { logins, users } = await openLogins({ maxPeerLogins: 1000 });
  const cpu = async (name: string, secret: string) => {
    const before = process.cpuUsage();
    await logins.judge({ name, password: secret, client }, users);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const least = async (name: string) => {
    const taken: number[] = [];
    for (let round = 0; round < 4; round += 1) taken.push(await cpu(name, `wrong ${round}`));
    return Math.min(...taken);
  };
  const [known, unknown] = [await least('alice'), await least('nobody')];
  logins.close();
  assert.ok(known / unknown < 3 && unknown / known < 3, `${known} and ${unknown} µs of processor`);
});
