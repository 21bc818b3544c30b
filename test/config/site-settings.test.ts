import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatConfig, HoplineError, readConfig } from '../../src/index.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const example = fileURLToPath(new URL('fixtures/config/gateway.yaml', repository));

test('sites become rules: servers, a tunnel, a route and a directory', async () => {
  const { gateway } = await readConfig(example);
  const [www, intern, files, rest] = gateway?.sites ?? [];
  assert.deepEqual(www?.backend, {
    kind: 'servers',
    members: [
      { host: '10.0.0.5', port: 80 },
      { host: '10.0.0.6', port: 8080, weight: 2 },
    ],
    isTls: false,
  });
  assert.deepEqual(www.servers?.check, { path: '/health', status: 200 });
  assert.deepEqual(www.cache, { ttlS: 60, overrideS: undefined });
  assert.equal(intern?.backend.kind === 'servers' && intern.backend.isTls, true);
  assert.equal(intern?.backend.kind === 'servers' && intern.backend.routes?.[0]?.length, 2);
  assert.equal(intern?.cache, false);
  assert.equal(files?.backend.kind, 'route');
  assert.equal(rest?.backend.kind, 'root');
  assert.deepEqual(gateway?.listen, { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(gateway?.accessLog?.maskQuery, ['token']);
});

test('what is in effect of sites says the same when it is read again', async (t) => {
  const root = await makeTempRoot(t);
  const config = await readConfig(example);
  const copy = path.join(root.path, 'copy.yaml');
  const text = await formatConfig(config);
  await writeFile(copy, text);
  const again = await readConfig(copy);
  assert.equal(await formatConfig(again), text);
  assert.deepEqual(again.gateway?.sites[2], config.gateway?.sites[2]);
});

test('who may ask is read with paths from the place of the file, and said again', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'hopline.yaml');
  const auth = '{basic: ./users, bearer: /run/tokens, addresses: [192.0.2.0/24]}';
  await writeFile(file, `listen: 127.0.0.1:0\nsites: {a.test: {servers: [a], auth: ${auth}}}\n`);
  const config = await readConfig(file);
  const basic = path.join(root.path, 'users');
  assert.deepEqual(config.gateway?.sites[0]?.auth, {
    basic,
    bearer: path.resolve('/run/tokens'),
    addresses: ['192.0.2.0/24'],
  });
  const text = await formatConfig(config);
  await writeFile(file, text);
  assert.deepEqual((await readConfig(file)).gateway?.sites[0]?.auth, config.gateway?.sites[0]?.auth);
});

const mistakes: readonly (readonly [name: string, text: string, problem: RegExp])[] = [
  ['a site of nothing', 'sites:\n  a.test: {}\n', /:2:\d+: sites\["a\.test"\]: .*one of servers .*route and root/],
  [
    'a site of two kinds',
    'sites:\n  a.test: {servers: [a], root: .}\n',
    /:2:\d+: sites\["a\.test"\]: .*leave only one/,
  ],
  [
    'authorities that are not there',
    'sites:\n  a.test: {servers: [a], https: {ca: gone.pem}}\n',
    /https\.ca: read "gone\.pem", expected a file that can be read; look at .*gone\.pem/,
  ],
  [
    'a pool that is not in the file',
    'sites:\n  a.test: {route: ["@eu", "a:1"]}\n',
    /route\[0\]: .*expected a pool of this file; add eu to pools/,
  ],
  [
    'a pool for a tunnel that is not in the file',
    'sites:\n  a.test: {servers: [a], via: ["a:1|@eu"]}\n',
    /via\[0\]: .*add eu to pools/,
  ],
  ['several hops in one place', 'sites:\n  a.test: {route: ["a:1,b:2"]}\n', /route\[0\]: .*expected a hop/],
  [
    'a variable as the value of a field',
    'sites:\n  a.test: {servers: [a], request-fields: {set: {X-Real-IP: $remote_addr}}}\n',
    /set\.X-Real-IP: read "\$remote_addr", expected text in one line without a variable .*nothing is expanded/,
  ],
  ['what is no host', 'sites:\n  "a b": {servers: [a]}\n', /:2:\d+: .*a host name/],
  ['what is no server', 'sites:\n  a.test: {servers: ["a:0"]}\n', /servers\[0\]: .*a server, HOST or HOST:PORT/],
  ['what is no hop', 'sites:\n  a.test: {route: [nowhere]}\n', /route\[0\]: read "nowhere", expected a hop/],
  ['keys of servers beside a route', 'sites:\n  a.test: {route: ["a:1"], sticky: true}\n', /sticky: .*beside route/],
  ['a mistyped key', 'sites:\n  a.test: {server: [a]}\n', /did you mean "?servers/],
  ['a check without a path', 'sites:\n  a.test: {servers: [a], check: {status: 200}}\n', /check/],
  [
    'a status that is none',
    'sites:\n  a.test: {servers: [a], check: {path: /, status: 99}}\n',
    /status: read 99, .*100 to 599/,
  ],
  [
    'a path that is none',
    'sites:\n  a.test: {servers: [a], check: {path: health}}\n',
    /path: read "health", expected a path/,
  ],
  [
    'a field with a line break',
    'sites:\n  a.test: {servers: [a], answer-fields: {set: {A: "b\\nc"}}}\n',
    /text in one line/,
  ],
  [
    'a name that is no field',
    'sites:\n  a.test: {servers: [a], answer-fields: {remove: ["a b"]}}\n',
    /the name of a field/,
  ],
  ...[
    'Content-Length',
    'transfer-encoding',
    'CONNECTION',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Upgrade',
    'Via',
    'Host',
  ].flatMap((name): (readonly [string, string, RegExp])[] => [
    [`${name} set`, `sites:\n  a.test: {servers: [a], request-fields: {set: {${name}: "5"}}}\n`, /gateway’s own/],
    [`${name} added`, `sites:\n  a.test: {servers: [a], answer-fields: {add: {${name}: "5"}}}\n`, /gateway’s own/],
    [`${name} removed`, `sites:\n  a.test: {servers: [a], answer-fields: {remove: [${name}]}}\n`, /gateway’s own/],
  ]),
  [
    'a length under the name that an application reads as one',
    'sites:\n  a.test: {servers: [a], request-fields: {set: {Content_Length: "5"}}}\n',
    /gateway’s own/,
  ],
  ['an empty rule of who may ask', 'sites:\n  a.test: {servers: [a], auth: {}}\n', /auth: .*at least one of basic/],
  [
    'a list of no addresses',
    'sites:\n  a.test: {servers: [a], auth: {addresses: []}}\n',
    /auth\.addresses: .*at least one network/,
  ],
  [
    'an address that is none',
    'sites:\n  a.test: {servers: [a], auth: {addresses: [here]}}\n',
    /auth\.addresses\[0\]: read "here"/,
  ],
  ['a gateway without sites', 'gateway: {trusted: [10.0.0.0/8]}\n', /gateway: .*add sites/],
  [
    'a network that is none',
    'sites: {a: {servers: [a]}}\ngateway: {trusted: [10.0.0.0/99]}\n',
    /:2:\d+: gateway\.trusted\[0\]/,
  ],
  ['a certificate without a key', 'sites: {a: {servers: [a]}}\ngateway: {tls: {cert: a.pem}}\n', /key/],
  [
    'the address of the node itself',
    'sites: {a: {servers: [a]}}\ngateway: {listen: "127.0.0.1:7001"}\n',
    /gateway\.listen: .*another address than that of the node/,
  ],
];

for (const [name, text, problem] of mistakes) {
  test(`${name} is told with its place and the fix`, async (t) => {
    const problems = await problemsOf(t, `${text}listen: 127.0.0.1:7001\n`);
    assert.ok(
      problems.some((line) => problem.test(line)),
      problems.join('\n'),
    );
  });
}

async function problemsOf(t: TestContext, text: string): Promise<readonly string[]> {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'hopline.yaml');
  await writeFile(file, text);
  try {
    await readConfig(file);
  } catch (error) {
    assert.ok(error instanceof HoplineError);
    return error.problems ?? [error.message];
  }
  return assert.fail('the file was taken');
}
