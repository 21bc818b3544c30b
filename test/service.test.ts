import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Config, type NodeRules, type Service, silentLogger, startService } from '../src/index.ts';
import type { Port } from '../src/wire/address.ts';

const listen = { host: '127.0.0.1', port: 0 };
const log = silentLogger;

function configOf(node: NodeRules, level: Config['log']['level'] = 'info'): Config {
  return { node: { listen, ...node }, log: { level, format: 'text' } };
}

async function start(t: TestContext, node: NodeRules = {}): Promise<Service> {
  const service = await startService(configOf(node), { log });
  t.after(() => service.close({ graceMs: 0 }));
  return service;
}

test('a reload tells the keys that changed, and no other', async (t) => {
  const member = { host: '10.0.0.1', port: 7001 as Port };
  const service = await start(t, { pools: [{ name: 'gone' }, { name: 'same', members: [member] }] });
  const next = {
    next: ['any'],
    limits: { idleMs: 5000 },
    pools: [{ name: 'same', members: [{ ...member, weight: 1 }], health: { fall: 2 } }, { name: 'new' }],
  };
  const changed = ['next', 'pools.gone', 'pools.same.health.fall', 'pools.new', 'limits.idle', 'log.level'];
  assert.deepEqual(await service.reload(configOf(next, 'debug')), changed);
  assert.deepEqual(await service.reload(configOf(next, 'debug')), []);
});

test('a reload that fails leaves the next one to be compared with what is in effect', async (t) => {
  const service = await start(t);
  await assert.rejects(service.reload(configOf({ next: ['10.0.0.0/99'], kernel: false })), { code: 'USAGE_INVALID' });
  await assert.rejects(service.reload(configOf({ next: ['any'], kernel: false })), { code: 'CONFIG_INVALID' });
  assert.deepEqual(await service.reload(configOf({ next: ['any'] })), ['next']);
});

test('of several reloads at once the last one is in effect in the end', async (t) => {
  const service = await start(t);
  const rules = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  const reloads = rules.map((rule) => service.reload(configOf({ next: [rule] })));
  assert.deepEqual(await Promise.all(reloads), [['next'], ['next'], ['next']]);
  assert.deepEqual(await service.reload(configOf({ next: ['10.0.0.3'] })), []);
});

test('a configuration that does not say where to listen is refused', async () => {
  const config: Config = { node: {}, log: { level: 'info', format: 'text' } };
  await assert.rejects(startService(config, { log }), {
    code: 'CONFIG_INVALID',
    message: /^listen: .* add listen: HOST:PORT$/,
  });
});
