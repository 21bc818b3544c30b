import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Logger, silentLogger } from '../../../src/core/log.ts';
import { type Member, nameMember } from '../../../src/pool/member.ts';
import { ListedMembers } from '../../../src/pool/sources/listed.ts';
import { RegisteredMembers } from '../../../src/pool/sources/registered.ts';
import { type NameServers, resolvedMembers, systemNameServers } from '../../../src/pool/sources/resolved.ts';
import type { Port } from '../../../src/wire/address.ts';
import { FakeClock } from '../../support/legs.ts';
import { sourceContract } from '../source.contract.ts';

const port = 80 as Port;
const turn = () => new Promise((resolve) => setImmediate(resolve));

sourceContract('a list', (_t, members) => ({ source: new ListedMembers(members), leftOver: () => 0 }));

sourceContract('servers that register', (_t, members) => {
  const source = new RegisteredMembers();
  let known = members;
  for (const member of members) source.add(member);
  const change = async (next: readonly Member[]) => {
    for (const member of next) source.add(member);
    for (const { hop } of known.filter((old) => !next.includes(old) && !includes(next, old))) {
      source.remove(nameMember(hop));
    }
    known = next;
  };
  return { source, change, leftOver: () => 0 };
});

function includes(members: readonly Member[], wanted: Member): boolean {
  return members.some(({ hop }) => nameMember(hop) === nameMember(wanted.hop));
}

interface Zone {
  members: readonly Member[];
  fails: boolean;
  ttl: number;
  /** The error for a name and a family, if there is one. */
  failing?: (host: string, family: number) => string | undefined;
}

/** Name servers in memory, which shuffle their answers as real ones do. */
function makeServers(zone: Zone): NameServers {
  const answer = <T>(records: readonly T[]) => {
    if (zone.fails) throw Object.assign(new Error(), { code: 'ESERVFAIL' });
    return [...records].reverse();
  };
  return {
    addresses: async (host, family) => {
      const found = zone.members
        .filter(({ hop }) => isIP(hop.host) === family)
        .filter(({ hop }) => host === 'pool.example' || hop.host === host.replace('host-', ''))
        .map(({ hop }) => ({ address: hop.host, ttl: zone.ttl }));
      const error = zone.failing?.(host, family) ?? (found.length === 0 ? 'ENODATA' : undefined);
      if (error !== undefined) throw Object.assign(new Error(), { code: error });
      return answer(found);
    },
    services: async () =>
      answer(
        zone.members.map(({ hop, weight, priority }) => ({
          name: `host-${hop.host}`,
          port: hop.port,
          weight,
          priority,
        })),
      ),
  };
}

for (const query of [{ host: 'pool.example', port }, { service: '_hopline._tcp.example' }]) {
  sourceContract(`DNS, ${Object.keys(query)[0]}`, (_t, members) => {
    const clock = new FakeClock();
    const zone: Zone = { members, fails: false, ttl: 30 };
    const pass = async () => {
      clock.advance(30_000);
      await turn();
    };
    return {
      source: resolvedMembers(query, { clock, log: silentLogger, servers: makeServers(zone) }),
      change: (next) => {
        Object.assign(zone, { members: next, fails: false });
        return pass();
      },
      fail: () => {
        zone.fails = true;
        return pass();
      },
      leftOver: () => clock.waiting,
    };
  });
}

/** Watches a zone; what was reported, and a way to let time pass. */
async function watchZone(t: TestContext, zone: Zone, query: Parameters<typeof resolvedMembers>[0], log = silentLogger) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const reports: (readonly Member[])[] = [];
  const source = resolvedMembers(query, { clock, log, servers: makeServers(zone) });
  const watching = source.watch((members) => reports.push(members), stop.signal);
  t.after(() => {
    stop.abort();
    return watching;
  });
  await turn();
  const pass = async (ms: number) => {
    clock.advance(ms);
    await turn();
  };
  return { reports, pass };
}

const at = (host: string, more: Partial<Member> = {}): Member => ({
  hop: { host, port },
  weight: 1,
  priority: 0,
  ...more,
});

for (const [ttl, waitMs] of [
  [30, 30_000],
  [0, 1000],
  [100_000, 3_600_000],
] as const) {
  test(`a name is looked up again after ${waitMs} ms for a TTL of ${ttl} s`, async (t) => {
    const zone = { members: [at('10.0.0.1')], fails: false, ttl };
    const { reports, pass } = await watchZone(t, zone, { host: 'pool.example', port });
    zone.members = [at('10.0.0.2')];
    await pass(waitMs - 1);
    assert.equal(reports.length, 1);
    await pass(1);
    assert.equal(reports.length, 2);
  });
}

test('a service is looked up again after a minute at most, and gives weights and priorities', async (t) => {
  const members = [at('10.0.0.1', { weight: 0, priority: 2 }), at('10.0.0.2', { weight: 7 })];
  const zone = { members, fails: false, ttl: 3600 };
  const { reports, pass } = await watchZone(t, zone, { service: '_x._tcp.example' });
  assert.deepEqual(reports[0], [at('10.0.0.1', { weight: 1, priority: 2 }), at('10.0.0.2', { weight: 7 })]);
  zone.members = [];
  await pass(60_000);
  assert.deepEqual(reports[1], []);
});

const hostsOf = (members: readonly Member[] = []) => members.map(({ hop }) => hop.host);

for (const [code, meaning] of [
  ['ENODATA', 'has no address'],
  ['ENOTFOUND', 'does not exist'],
  ['ESERVFAIL', 'cannot be looked up'],
] as const) {
  test(`a target of a service that ${meaning} takes away no other, and blocks no later change`, async (t) => {
    const failing = (host: string) => (host === 'host-10.0.0.1' ? code : undefined);
    const zone: Zone = { members: [at('10.0.0.1'), at('10.0.0.2')], fails: false, ttl: 60, failing };
    const { reports, pass } = await watchZone(t, zone, { service: '_x._tcp.example' });
    assert.deepEqual(hostsOf(reports[0]), ['10.0.0.2']);
    zone.members = [at('10.0.0.1'), at('10.0.0.3')];
    await pass(60_000);
    assert.deepEqual(hostsOf(reports[1]), ['10.0.0.3']);
  });

  test(`a target of a service that ${meaning} any more keeps the addresses that it had`, async (t) => {
    const zone: Zone = { members: [at('10.0.0.1'), at('10.0.0.2')], fails: false, ttl: 60 };
    const { reports, pass } = await watchZone(t, zone, { service: '_x._tcp.example' });
    zone.failing = (host) => (host === 'host-10.0.0.1' ? code : undefined);
    zone.members = [at('10.0.0.1'), at('10.0.0.3')];
    await pass(60_000);
    assert.deepEqual(hostsOf(reports[1]), ['10.0.0.1', '10.0.0.3']);
    zone.members = [at('10.0.0.3')];
    await pass(60_000);
    assert.deepEqual(hostsOf(reports[2]), ['10.0.0.3']);
  });
}

for (const [failed, gone, kept] of [
  [6, '10.0.0.1', ['10.0.0.2', '2001:db8::1']],
  [4, '2001:db8::1', ['10.0.0.1', '2001:db8::2']],
] as const) {
  test(`addresses of IPv${failed} stay while they cannot be looked up, and those of the other family follow`, async (t) => {
    const zone: Zone = { members: [at('10.0.0.1'), at('2001:db8::1')], fails: false, ttl: 60 };
    const { reports, pass } = await watchZone(t, zone, { host: 'pool.example', port });
    zone.failing = (_host, family) => (family === failed ? 'ETIMEOUT' : undefined);
    zone.members = kept.map((host) => at(host));
    await pass(60_000);
    assert.deepEqual(hostsOf(reports[1]), kept);
    zone.failing = () => undefined;
    zone.members = kept.filter((host) => host !== gone && isIP(host) !== failed).map((host) => at(host));
    // A lookup that failed in part is tried again sooner.
    await pass(5000);
    assert.deepEqual(
      hostsOf(reports[2]),
      kept.filter((host) => isIP(host) !== failed),
    );
  });
}

test('a name that has lost all its addresses keeps its members', async (t) => {
  const zone: Zone = { members: [at('10.0.0.1')], fails: false, ttl: 60 };
  const { reports, pass } = await watchZone(t, zone, { host: 'pool.example', port });
  zone.members = [];
  await pass(60_000);
  assert.equal(reports.length, 1);
});

test('the log tells which members came and went by DNS, and of a lookup that fails once, and that it is over', async (t) => {
  const lines: [Readonly<Record<string, unknown>>, string][] = [];
  const write: Logger['info'] = (fields, message) => lines.push([fields, message]);
  const zone: Zone = { members: [at('10.0.0.1'), at('10.0.0.2')], fails: false, ttl: 5 };
  const query = { host: 'pool.example', port };
  const { pass } = await watchZone(t, zone, query, { ...silentLogger, info: write, warn: write });
  zone.members = [at('10.0.0.2'), at('10.0.0.3')];
  await pass(5000);
  zone.failing = (_host, family) => (family === 6 ? 'ESERVFAIL' : undefined);
  for (let again = 0; again < 3; again += 1) await pass(5000);
  zone.failing = () => undefined;
  await pass(5000);
  assert.deepEqual(lines, [
    [{ ...query, joined: '10.0.0.1:80, 10.0.0.2:80', members: 2 }, 'members by DNS have changed'],
    [{ ...query, joined: '10.0.0.3:80', left: '10.0.0.1:80', members: 2 }, 'members by DNS have changed'],
    [
      { ...query, reason: 'pool.example AAAA: ESERVFAIL' },
      'members could not be looked up; what was known of these stays',
    ],
    [{ ...query }, 'all members can be looked up again'],
  ]);
});

/** A name server on loopback that knows A, AAAA and SRV of whatever it is asked. */
async function startNameServer(t: TestContext): Promise<string> {
  const socket = createSocket('udp4');
  const name = Buffer.from([4, ...Buffer.from('host'), 0]);
  const data: Record<number, Buffer> = {
    1: Buffer.from([10, 0, 0, 7]),
    33: Buffer.concat([Buffer.from([0, 2, 0, 3, 0x1f, 0x90]), name]),
  };
  socket.on('message', (query, peer) => {
    const end = query.indexOf(0, 12) + 5;
    const type = query.readUInt16BE(end - 4);
    const record = data[type];
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(record ? 1 : 0, 6);
    head.writeUInt32BE(0, 8);
    const answer = record && [Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 42, 0, record.length]), record];
    socket.send(Buffer.concat([head, query.subarray(12, end), ...(answer ?? [])]), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return `127.0.0.1:${socket.address().port}`;
}

test('the system’s resolver gives addresses with their TTL, and services', async (t) => {
  const servers = systemNameServers([await startNameServer(t)]);
  assert.deepEqual(await servers.addresses('host', 4), [{ address: '10.0.0.7', ttl: 42 }]);
  await assert.rejects(servers.addresses('host', 6), { code: 'ENODATA' });
  assert.deepEqual(await servers.services('_hopline._tcp.example'), [
    { name: 'host', port: 8080, priority: 2, weight: 3 },
  ]);
});
