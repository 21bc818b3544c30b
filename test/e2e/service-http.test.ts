/** A node and its sites from one configuration, as a running service. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { type Config, type GatewayRules, silentLogger, startService } from '../../src/index.ts';
import { ask, startBackend } from '../support/http.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const listen = { host: '127.0.0.1', port: 0 };

function configOf(gateway: GatewayRules | undefined, node: Config['node'] = { listen }): Config {
  return { node, gateway, log: { level: 'info', format: 'text' } };
}

test('sites are served on the port of the node and on their own, and change while requests run', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('page.bin', 5000);
  let finish = () => {};
  const begun = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let release = () => {};
  const first = await startBackend(t, (_request, response) => {
    response.write('first ');
    release = () => response.end('server');
    finish();
  });
  const second = await startBackend(t, (_request, response) => response.end('second'));
  const site = ({ address }: typeof first, value: string): GatewayRules['sites'][number] => ({
    host: 'www.test',
    backend: { kind: 'servers', members: [address], isTls: false },
    answerFields: { set: { 'X-Site': value } },
  });
  const files: GatewayRules['sites'][number] = { host: '*', backend: { kind: 'root', directory: root.path } };
  const service = await startService(configOf({ listen, sites: [site(first, 'one'), files] }), { log: silentLogger });
  t.after(() => service.close({ graceMs: 0 }));
  const ports = [service.node?.address.port ?? 0, service.gateway?.port ?? 0];
  for (const port of ports) {
    assert.equal((await ask(port, { path: '/page.bin', method: 'HEAD' })).headers['content-length'], '5000');
  }
  const [port = 0] = ports;
  const running = ask(port, { headers: { host: 'www.test' } });
  await begun;
  const changed = await service.reload(configOf({ listen, sites: [site(second, 'two'), files] }));
  assert.deepEqual(changed, ['sites.www.test.servers', 'sites.www.test.answer-fields.set.X-Site']);
  const next = await ask(port, { headers: { host: 'www.test' } });
  assert.deepEqual([next.body, next.headers['x-site']], ['second', 'two']);
  release();
  assert.equal((await running).body, 'first server', 'a request that was under way ends as it would have');
});

test('a gateway alone needs no node, and what needs a restart is refused with the old one left in place', async (t) => {
  const backend = await startBackend(t);
  const sites: GatewayRules['sites'] = [
    { host: '*', backend: { kind: 'servers', members: [backend.address], isTls: false } },
  ];
  const service = await startService(configOf({ listen, sites }, {}), { log: silentLogger });
  t.after(() => service.close({ graceMs: 0 }));
  assert.equal(service.node, undefined);
  const port = service.gateway?.port ?? 0;
  assert.equal((await ask(port)).body, 'ok');
  const other = { ...listen, port: 1 };
  await assert.rejects(service.reload(configOf({ listen: other, sites }, {})), { code: 'CONFIG_INVALID' });
  await assert.rejects(service.reload(configOf(undefined, {})), { code: 'CONFIG_INVALID' });
  await assert.rejects(service.reload(configOf({ listen, sites, trusted: ['10.0.0.0/8'] }, {})), {
    code: 'CONFIG_INVALID',
  });
  assert.equal((await ask(port)).body, 'ok');
});

test('a node that cannot start takes its gateway with it', async (t) => {
  const backend = await startBackend(t);
  const sites: GatewayRules['sites'] = [
    { host: '*', backend: { kind: 'servers', members: [backend.address], isTls: false } },
  ];
  const taken = { host: '127.0.0.1', port: backend.address.port };
  await assert.rejects(startService(configOf({ listen, sites }, { listen: taken }), { log: silentLogger }), {
    code: 'LISTEN_FAILED',
  });
});
