import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { isMap } from 'yaml';
import { placeOf } from '../../src/config/problems.ts';
import { limitKeys } from '../../src/config/schema/limit-settings.ts';
import { readYaml } from '../../src/config/yaml-text.ts';
import { defaultLimits, formatConfig, type HoplineError, type Limits, readConfig } from '../../src/index.ts';
import { makeConfigFile } from '../support/config-file.ts';
import { repository } from '../support/repository.ts';

const exampleFile = fileURLToPath(new URL('fixtures/config/hopline.yaml', repository));

/** The lines of the error, without the directory that the file is in. */
async function problemsOf(t: TestContext, text: string): Promise<readonly string[]> {
  const file = await makeConfigFile(t, text);
  const error = (await readConfig(file.path).catch((cause: unknown) => cause)) as HoplineError;
  assert.equal(error.code, 'CONFIG_INVALID', String(error));
  const [first = '', ...more] = error.problems ?? [];
  assert.equal(error.message, more.length > 0 ? `${first} (and ${more.length} more)` : first);
  return [first, ...more].map((line) => line.replaceAll(`${file.directory}${path.sep}`, ''));
}

const member = 'a hop, HOST:PORT, or a mapping with an address';
const memberFix = 'such as 10.0.1.5:7001 or {address: 10.0.1.5:7001, weight: 2}';
const durationFix = 'such as 500ms, 5s or 2m';
const topKeys =
  'listen, root, next, uploads, digest-cache, limit-rate, limit-rate-total, kernel, policy, balance, ' +
  'registry, register-from, pools, ' +
  'sites, gateway, security, admin, limits, log';

/** The file, where the mistake is, what was read, what was expected, and what to do. */
const mistakes: readonly (readonly [text: string, place: string, read: string, expected: string, fix: string])[] = [
  ['listen: 7001', '1:9: listen', '7001', 'HOST:PORT to listen on', ', such as 127.0.0.1:7001'],
  ['listen: 127.0.0.1:70000', '1:9: listen', '"127.0.0.1:70000"', 'HOST:PORT to listen on', ', such as 127.0.0.1:7001'],
  ['listen: [::1]', '1:9: listen', 'a list', 'HOST:PORT to listen on', ', such as 127.0.0.1:7001'],
  ['root: 7', '1:7: root', '7', 'the path of a directory', ', such as ./files'],
  ['\n\nroot: gone', '3:7: root', '"gone"', 'a directory that exists', '; make gone, or write another path'],
  [
    'root: hopline.yaml',
    '1:7: root',
    '"hopline.yaml"',
    'a directory that exists',
    '; make hopline.yaml, or write another path',
  ],
  ['root:', '1:1: root', 'nothing', 'the path of a directory', ', such as ./files'],
  ['next: any', '1:7: next', '"any"', 'a list', ', such as [10.0.0.0/8:7001-7010]'],
  [
    'next:\n  - any\n  - 10.0.0.0/99',
    '3:5: next[1]',
    '"10.0.0.0/99"',
    'any, a CIDR, an address or a host name, then maybe :PORT or :LOW-HIGH',
    ', such as 10.0.0.0/8:7001-7010',
  ],
  ['nxt: [any]', '1:1: nxt', 'the unknown key "nxt"', 'a known one', '; did you mean next?'],
  ['zebra: 1', '1:1: zebra', 'the unknown key "zebra"', `one of ${topKeys}`, '; remove it'],
  ['uploads: maybe', '1:10: uploads', '"maybe"', 'true, false or a mapping', ', such as {max-size: 10G}'],
  ['uploads:\n  max-size: 0', '2:13: uploads.max-size', '0', 'bytes above 0', ', such as 10G'],
  [
    'uploads: {maxsize: 1G}',
    '1:11: uploads.maxsize',
    'the unknown key "maxsize"',
    'a known one',
    '; did you mean max-size?',
  ],
  [
    'root: files\ndigest-cache: files/d',
    '2:15: digest-cache',
    '"files/d"',
    'a directory outside the root',
    '; write another path',
  ],
  ['limit-rate: 5', '1:13: limit-rate', '5', 'bytes a second, at least 1K', ', such as 10M'],
  ['limit-rate-total: 10 MB', '1:19: limit-rate-total', '"10 MB"', 'bytes a second, at least 1K', ', such as 10M'],
  ['kernel: yes', '1:9: kernel', '"yes"', 'true or false', ''],
  ['policy: {name: x}', '1:9: policy.id', 'nothing', 'the key id', '; add id: VALUE'],
  ['policy: PP_1', '1:9: policy', '"PP_1"', 'a mapping', ', such as {id: PP_1, register: [10.0.0.1:10000]}'],
  [
    'policy: {id: PP_1, register: [10.0.0.1]}',
    '1:31: policy.register[0]',
    '"10.0.0.1"',
    'a front, HOST:PORT, or HOST:PORT#hop1... where its key is known',
    ', such as 10.0.0.1:10000',
  ],
  [
    'register-from: [everybody]',
    '1:17: register-from[0]',
    '"everybody"',
    'a CIDR or an address',
    ', such as 10.0.0.0/8',
  ],
  [
    'registry: redis://me:word@store:6379',
    '1:11: registry',
    '"redis://***@store:6379"',
    'redis://HOST:PORT, maybe with /DATABASE, or rediss:, without a user and a password, which go into HOPLINE_REGISTRY',
    ', such as redis://10.0.0.1:6379',
  ],
  ['pools: [eu]', '1:8: pools', 'a list', 'pools by their names', ', such as {eu-files: {members: [10.0.1.5:7001]}}'],
  [
    'pools:\n  "eu files": {}',
    '2:3: pools["eu files"]',
    '"eu files"',
    'a name of 1 to 64 letters, digits, "_", "." and "-"',
    ', such as eu-files',
  ],
  [
    'pools:\n  eu:\n    membres: []',
    '3:5: pools.eu.membres',
    'the unknown key "membres"',
    'a known one',
    '; did you mean members?',
  ],
  [
    'pools: {eu: {algorithm: fastest}}',
    '1:25: pools.eu.algorithm',
    '"fastest"',
    'one of round-robin, weighted-round-robin, least-in-flight, power-of-two, consistent-hash',
    '',
  ],
  [
    'pools:\n  eu:\n    members:\n      - a:1\n      - 10.0.0.2',
    '5:9: pools.eu.members[1]',
    '"10.0.0.2"',
    member,
    `, ${memberFix}`,
  ],
  ['pools: {eu: {members: [7001]}}', '1:24: pools.eu.members[0]', '7001', member, `, ${memberFix}`],
  [
    'pools:\n  eu:\n    members:\n      - address: a:1\n        weight: 0',
    '5:17: pools.eu.members[0].weight',
    '0',
    'a whole number from 1 to 1000',
    ', such as 2',
  ],
  [
    'pools: {eu: {members: [{weight: 2}]}}',
    '1:24: pools.eu.members[0].address',
    'nothing',
    'the key address',
    '; add address: VALUE',
  ],
  [
    'pools: {eu: {members: [a:1, A:1]}}',
    '1:29: pools.eu.members[1]',
    '"A:1"',
    'each member once',
    '; remove one of them, and give the other a weight',
  ],
  [
    'pools: {eu: {dns: [a b]}}',
    '1:20: pools.eu.dns[0]',
    '"a b"',
    'HOST:PORT to look up, or the name of a service',
    ', such as files.example.org:7001 or _hopline._tcp.example.org',
  ],
  ['pools: {eu: {health: {jitter: 2}}}', '1:31: pools.eu.health.jitter', '2', 'a share from 0 to 1', ', such as 0.2'],
  [
    'pools: {eu: {health: {interval: 0}}}',
    '1:33: pools.eu.health.interval',
    '0',
    'a duration above 0 and of at most 24 days',
    `, ${durationFix}`,
  ],
  [
    'pools: {eu: {health: {fall: 1.5}}}',
    '1:29: pools.eu.health.fall',
    '1.5',
    'a whole number from 1 to 1000',
    ', such as 2',
  ],
  [
    'pools: {eu: {health: {eject: 5s, max-eject: 1s}}}',
    '1:45: pools.eu.health.max-eject',
    '"1s"',
    'at least eject, which is 5s',
    '; change one of them',
  ],
  [
    'pools: {eu: {health: {eject: 2m}}}',
    '1:30: pools.eu.health.eject',
    '"2m"',
    'at most max-eject, which is 1m',
    '; change one of them',
  ],
  ['limits: {idle: 5x}', '1:16: limits.idle', '"5x"', 'a duration above 0 and of at most 24 days', `, ${durationFix}`],
  [
    'limits: {max-connections: many}',
    '1:27: limits.max-connections',
    '"many"',
    'a whole number from 1',
    ', such as 2048',
  ],
  ['limits: {idel: 5s}', '1:10: limits.idel', 'the unknown key "idel"', 'a known one', '; did you mean idle?'],
  [
    'limits: {idle: 5s, idle-ms: 5000}',
    '1:29: limits.idle-ms',
    '5000',
    'the limit once',
    '; remove it, or limits.idle',
  ],
  ['limits: {piece: 1G}', '1:17: limits.piece', '"1G"', 'piece to be at most max-read', '; change one of them'],
  ['log: {level: loud}', '1:14: log.level', '"loud"', 'one of debug, info, warn, error, silent', ''],
  ['- listen', '1:1', 'a list', 'a mapping', ', such as listen: 127.0.0.1:7001'],
  ['hopline', '1:1', '"hopline"', 'a mapping', ', such as listen: 127.0.0.1:7001'],
  ['root: files\nroot: files', '2:1', 'a key for the second time', 'each once', '; remove one of them'],
  ['log:\n\tlevel: info', '2:1', 'a tab', 'spaces', '; indent by two spaces'],
  ['root: files\n---\nroot: files', '2:1', 'a second document', 'one', '; remove what begins at "---"'],
  ['root: "files', '1:13', 'text that does not end', 'its closing quote or bracket', '; add it'],
  ['root: a: b', '1:7', 'a colon too many', 'one key', '; put text with a colon in quotes'],
  ['root: *files', '1:7', 'a reference to nothing', 'text', '; put text with "*" in quotes'],
];

for (const [text, place, read, expected, fix] of mistakes) {
  test(`${JSON.stringify(text)} is told with its place and what to do`, async (t) => {
    assert.deepEqual(await problemsOf(t, text), [`hopline.yaml:${place}: read ${read}, expected ${expected}${fix}`]);
  });
}

test('all mistakes of a file are told at once, in its order', async (t) => {
  const text = 'root: gone\nlimits: {idle: x, hops: 1}\nnxt: []\nuploads: {a: 1, b: 2}\nlisten: 1\n';
  const places = (await problemsOf(t, text)).map((line) => line.split(': ', 2).join(': '));
  assert.deepEqual(places, [
    'hopline.yaml:1:7: root',
    'hopline.yaml:2:16: limits.idle',
    'hopline.yaml:2:19: limits.hops',
    'hopline.yaml:3:1: nxt',
    'hopline.yaml:4:11: uploads.a',
    'hopline.yaml:4:17: uploads.b',
    'hopline.yaml:5:9: listen',
  ]);
});

test('what a reference stands for is checked, and told where the reference is', async (t) => {
  const problems = await problemsOf(t, 'pools:\n  a: &a {members: [a:1]}\n  b: *a\n  c: &c {members: [7]}\n  d: *c\n');
  assert.deepEqual(
    problems.map((line) => line.split(': read')[0]),
    ['hopline.yaml:4:20: pools.c.members[0]', 'hopline.yaml:5:6: pools.d.members[0]'],
  );
});

test('a file that stands for a huge one is refused, and so is one that nests without end', async (t) => {
  const levels = Array.from(
    { length: 12 },
    (_, index) => `l${index + 1}: &l${index + 1} [${`*l${index}, `.repeat(12)}]`,
  );
  const [bomb] = await problemsOf(t, ['l0: &l0 [x]', ...levels].join('\n'));
  assert.match(bomb ?? '', /hopline\.yaml:1:1: read more references than 100/);
  const file = await makeConfigFile(t, `next: ${'['.repeat(200_000)}`);
  await assert.rejects(readConfig(file.path), { code: 'CONFIG_INVALID' });
});

test('the places of as many keys as there are take one look at each', async (t) => {
  const names = Array.from({ length: 300 }, (_, index) => `name${index}`);
  const file = await makeConfigFile(t, names.map((name) => `${name}: [x]\n`).join(''));
  const source = await readYaml(file.path, 'a file');
  const { contents } = source.document;
  assert.ok(isMap(contents));
  let looks = 0;
  contents.items = new Proxy(contents.items, {
    get: (items, key) => {
      looks += 1;
      return Reflect.get(items, key) as unknown;
    },
  });
  for (const [line, name] of names.entries()) {
    assert.equal(placeOf([name, 0], source).at, `${file.path}:${line + 1}:${name.length + 4}`);
  }
  assert.ok(looks < 10 * names.length, `${looks}`);
});

test('keys that mean something to JavaScript are unknown keys', async (t) => {
  for (const key of ['__proto__', 'constructor', 'toString', 'prototype']) {
    assert.match((await problemsOf(t, `${key}: {listen: 1}`)).join(), /read the unknown key/, key);
    assert.match((await problemsOf(t, `limits: {${key}: 1}`)).join(), /read the unknown key/, key);
  }
});

test('a file that cannot be read says why', async (t) => {
  const file = await makeConfigFile(t, '');
  const missing = path.join(file.directory, 'missing.yaml');
  await assert.rejects(readConfig(missing), {
    code: 'CONFIG_INVALID',
    message: /missing\.yaml: there is no such file$/,
  });
  await assert.rejects(readConfig(file.directory), { code: 'CONFIG_INVALID', message: /it is a directory$/ });
  await writeFile(file.path, Buffer.from([0x61, 0xff]));
  await assert.rejects(readConfig(file.path), { code: 'CONFIG_INVALID', message: /expected text in UTF-8$/ });
  await file.write('#'.repeat(1024 * 1024 + 1));
  await assert.rejects(readConfig(file.path), { code: 'CONFIG_INVALID', message: /larger than 1048576 bytes$/ });
});

test('whatever is in a file, it is read, or each mistake has a line that the file has', async (t) => {
  const file = await makeConfigFile(t, '');
  const example = await readFile(exampleFile, 'utf8');
  const damaged = fc
    .tuple(fc.nat(example.length), fc.nat(12), fc.stringMatching(/^[-:{}[\]&*!|>'"%@`#,?\n\t a01~]{0,6}$/))
    .map(([at, length, text]) => example.slice(0, at) + text + example.slice(at + length));
  const check = async (text: string) => {
    await file.write(text);
    try {
      await readConfig(file.path);
    } catch (error) {
      const { code, problems = [], stack } = error as HoplineError;
      assert.equal(code, 'CONFIG_INVALID', stack);
      const lines = text.split('\n').length;
      for (const problem of problems) {
        const [, line] = /hopline\.yaml:(\d+):\d+: [^\n]+$/.exec(problem) ?? [];
        assert.ok(Number(line) >= 1 && Number(line) <= lines, problem);
      }
    }
  };
  await fc.assert(fc.asyncProperty(fc.oneof(damaged, fc.string(), fc.json()), check), { numRuns: 500 });
});

test('an empty file is all defaults', async (t) => {
  for (const text of ['', '# nothing\n', '{}']) {
    const { node, log } = await readConfig((await makeConfigFile(t, text)).path);
    assert.deepEqual(log, { level: 'info', format: 'text' });
    assert.deepEqual(node.limits, {});
    assert.equal(node.listen, undefined);
  }
});

test('every key reaches what it configures', async (t) => {
  const text = `
listen: "[::1]:0"
root: ./files
next: [any, "10.0.0.0/8:7001-7010"]
uploads: {force: true, max-size: 10G}
digest-cache: ../digests
limit-rate: 1.5M
limit-rate-total: 2048
kernel: false
policy: {id: 7, name: 1, register: [front:10000], advertise: me:9}
balance: power-of-two
registry: redis://store:6379/2
register-from: [10.0.0.0/8, "::1"]
pools:
  eu-files:
    algorithm: least-in-flight
    check: connect
    hash-by: client
    members: [a:1, {address: b:2, weight: 3}, {address: c:3, priority: 4}]
    dns: [files.example.org:7001, _hopline._tcp.example.org]
    health: {interval: 1m, timeout: 2, jitter: 0, fall: 2, rise: 3, eject-after: 4, eject: 500ms, max-eject: 1h, slow-start: 0}
security: {identity: ./node.key, authorized-keys: ./keys, require-key: true}
limits: {max-connections: 7, idle: 90, max-payload: 4K}
log: {level: warn, format: json}
`;
  const file = await makeConfigFile(t, text);
  assert.deepEqual(await readConfig(file.path), {
    log: { level: 'warn', format: 'json' },
    node: {
      listen: { host: '::1', port: 0 },
      root: path.join(file.directory, 'files'),
      next: ['any', '10.0.0.0/8:7001-7010'],
      uploads: { force: true, maxBytes: 10 * 1024 ** 3 },
      digestCache: path.resolve(file.directory, '../digests'),
      limitRate: 1.5 * 1024 ** 2,
      limitRateTotal: 2048,
      kernel: false,
      server: { policy: '7', id: '1', register: [{ host: 'front', port: 10_000 }], advertise: { host: 'me', port: 9 } },
      balance: 'power-of-two',
      registry: 'redis://store:6379/2',
      identityFile: path.join(file.directory, 'node.key'),
      registerFrom: ['10.0.0.0/8', '::1'],
      pools: [
        {
          name: 'eu-files',
          algorithm: 'least-in-flight',
          check: 'connect',
          hashBy: 'client',
          members: [
            { host: 'a', port: 1 },
            { host: 'b', port: 2, weight: 3 },
            { host: 'c', port: 3, priority: 4 },
          ],
          dns: [{ host: 'files.example.org', port: 7001 }, { service: '_hopline._tcp.example.org' }],
          health: {
            intervalMs: 60_000,
            timeoutMs: 2000,
            jitter: 0,
            fall: 2,
            rise: 3,
            ejectAfter: 4,
            ejectMs: 500,
            maxEjectMs: 3_600_000,
            slowStartMs: 0,
          },
        },
      ],
      authorizedKeys: path.join(file.directory, 'keys'),
      requireKey: true,
      limits: { maxConnections: 7, idleMs: 90_000, maxPayloadBytes: 4096 },
    },
  });
});

const limitNames = Object.keys(defaultLimits) as (keyof Limits)[];

test('every limit is a key, with its unit and without, and no two are the same', async (t) => {
  const keys = limitNames.flatMap((name) => [...new Set(limitKeys(name))]);
  assert.equal(new Set(keys).size, keys.length);
  const bare = (name: keyof Limits) => (name.endsWith('Ms') ? `${defaultLimits[name] + 1}ms` : defaultLimits[name] + 1);
  for (const form of [0, 1] as const) {
    const lines = limitNames.map(
      (name) => `  ${limitKeys(name)[form]}: ${form ? defaultLimits[name] + 1 : bare(name)}`,
    );
    const { node } = await readConfig((await makeConfigFile(t, `limits:\n${lines.join('\n')}\n`)).path);
    assert.deepEqual(node.limits, Object.fromEntries(limitNames.map((name) => [name, defaultLimits[name] + 1])));
  }
});

test('what is in effect, read as a file, is in effect again', async (t) => {
  const file = await makeConfigFile(t, '');
  const own = `${path.dirname(file.directory)}/hopline-digests`;
  for (const text of [
    '',
    'listen: h:1\nuploads: true\nroot: files\n',
    'policy: {id: x}\nlog: {level: debug}\n',
    exampleFile,
  ]) {
    if (text !== exampleFile) await file.write(text);
    const effective = await formatConfig(await readConfig(text === exampleFile ? exampleFile : file.path));
    await file.write(effective.replace('/var/tmp/hopline-digests', own));
    const again = await formatConfig(await readConfig(file.path));
    assert.equal(again, effective.replace('/var/tmp/hopline-digests', own));
    for (const name of limitNames) assert.ok(effective.includes(`\n  ${limitKeys(name)[0]}: `), name);
  }
});
