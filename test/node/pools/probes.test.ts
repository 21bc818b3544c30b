import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { defaultLimits, HoplineError, type RunningNode, startNode, systemClock } from '../../../src/index.ts';
import { createSystemResolver } from '../../../src/io/names/system-resolver.ts';
import type { NextAccess } from '../../../src/node/access/access-rules.ts';
import { createProbes } from '../../../src/node/pools/probes.ts';
import type { MemberLoad } from '../../../src/pool/member-checks.ts';
import type { Port } from '../../../src/wire/address.ts';
import { connectRaw } from '../../support/chain.ts';
import { occupy } from '../../support/circuits.ts';

const probes = createProbes({
  limits: defaultLimits,
  clock: systemClock,
  resolve: createSystemResolver(),
  setUserTimeout: undefined,
  next: { mayLookUp: () => {}, mayDial: () => {} },
});

/** Checks a node as members of pools are; what it told. */
async function check({ address }: RunningNode): Promise<readonly MemberLoad[]> {
  const told: MemberLoad[] = [];
  const member = { hop: { host: address.host, port: address.port as Port }, weight: 1, priority: 0 };
  await probes.node(member, new AbortController().signal, (load) => told.push(load));
  return told;
}

async function start(t: TestContext, maxConnections: number): Promise<RunningNode> {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, limits: { maxConnections } });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

test('a node that is checked tells its load', async (t) => {
  const node = await start(t, 5);
  await connectRaw(t, node);
  assert.deepEqual(await check(node), [{ open: 2, max: 5 }]);
});

test('a node that is full fails its check', async (t) => {
  const node = await start(t, 1);
  await occupy(t, node);
  await assert.rejects(check(node), { code: 'LIMIT_CONNECTIONS' });
});

test('nobody is dialled for a check whom no rule allows, by name or by address', async () => {
  const dialled: string[] = [];
  const denied = new HoplineError('POLICY_DENIED', 'no');
  const probesUnder = (next: NextAccess) =>
    createProbes({
      limits: defaultLimits,
      clock: systemClock,
      resolve: async (host) => {
        dialled.push(host);
        return ['127.0.0.1'];
      },
      setUserTimeout: undefined,
      next,
    });
  const deny = () => {
    throw denied;
  };
  const member = { hop: { host: 'some.name', port: 1 as Port }, weight: 1, priority: 0 };
  for (const kind of ['node', 'connect'] as const) {
    const check = (next: NextAccess) => probesUnder(next)[kind](member, new AbortController().signal, () => {});
    await assert.rejects(check({ mayLookUp: deny, mayDial: () => {} }), denied);
    assert.deepEqual(dialled.splice(0), []);
    await assert.rejects(check({ mayLookUp: () => {}, mayDial: deny }), denied);
    assert.deepEqual(dialled.splice(0), ['some.name']);
  }
});
