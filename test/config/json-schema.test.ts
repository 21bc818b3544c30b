/** The JSON Schema for editors, by a validator that is not ours, beside what `hopline check` says of the same text. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { readConfig } from '../../src/index.ts';
import { makeConfigFile } from '../support/config-file.ts';
import { repository } from '../support/repository.ts';

const fixture = (name: string) => fileURLToPath(new URL(name, repository));
const { $schema: _dialect, ...schema } = JSON.parse(await readFile(fixture('docs/hopline.schema.json'), 'utf8'));
const isValid = new Ajv2020({ strict: false }).compile(schema);

const mistakes: readonly string[] = [
  'listen: 7001',
  'listen: 127.0.0.1',
  'listen: nowhere:http',
  'root: ""',
  'next: any',
  'next: [10.0.0.0/8:http]',
  'next: ["10.0.0.0/8 and more"]',
  'uploads: maybe',
  'uploads: {max-size: 0}',
  'uploads: {max-size: 10 GB}',
  'limit-rate: fast',
  'limit-rate: 10 MB',
  'registry: http://10.0.0.1:6379',
  'registry: redis://user:password@10.0.0.1:6379',
  'register-from: [example.org]',
  'register-from: [10.0.0.0/8/9]',
  'policy: {id: ""}',
  'policy: {id: PP_1, register: [10.0.0.1]}',
  'pools: {"a b": {members: [10.0.1.5:7001]}}',
  'pools: {eu: {members: [10.0.1.5]}}',
  'pools: {eu: {members: [{address: 10.0.1.5:7001, weight: 0}]}}',
  'pools: {eu: {dns: [files.example.org]}}',
  'pools: {eu: {health: {interval: soon}}}',
  'pools: {eu: {health: {interval: 0s}}}',
  'pools: {eu: {health: {jitter: 2}}}',
  'limits: {connect: 5 seconds}',
  'limits: {max-payload: 1X}',
  'sites: {www.example.org: {}}',
  'sites: {www.example.org: {root: ., route: [10.0.0.2:7001]}}',
  'sites: {www.example.org: {root: ., servers: [10.0.0.5:80]}}',
  'sites: {"www example org": {servers: [10.0.0.5:80]}}',
  'sites: {www.example.org: {servers: ["10.0.0.5:80/path"]}}',
  'sites: {www.example.org: {route: [10.0.0.2]}}',
  'sites: {www.example.org: {route: ["10.0.0.2:7001,10.0.0.3:7001"]}}',
  'sites: {www.example.org: {servers: [10.0.0.5:80], check: {path: health}}}',
  'sites: {www.example.org: {servers: [10.0.0.5:80], max-body: much}}',
  'sites: {www.example.org: {servers: [10.0.0.5:80], request-fields: {set: {"X Y": a}}}}',
  'sites: {www.example.org: {servers: [10.0.0.5:80], cache: {ttl: ever}}}',
  'sites: {www.example.org: {servers: [10.0.0.5:80]}}\ngateway: {listen: "8080"}',
  'sites: {www.example.org: {servers: [10.0.0.5:80]}}\ngateway: {trusted: [proxy.example.org]}',
  'log: {level: loud}',
];

for (const text of mistakes) {
  test(`an editor and the check both see the mistake in ${JSON.stringify(text)}`, async (t) => {
    assert.ok(!isValid(parse(text)));
    const file = await makeConfigFile(t, text);
    await assert.rejects(readConfig(file.path), { code: 'CONFIG_INVALID' });
  });
}

const fine: readonly string[] = [
  'listen: "[::1]:7001"',
  'listen: localhost:0',
  'next: [any, "any:7001", 10.0.0.5, 10.0.0.0/8, "10.0.0.0/8:7001-7010", "fd00::/8", "[fd00::/8]:7001", "[fd00::1]:7001", files.example.org:7001]',
  'limit-rate: 1.5G',
  'limit-rate: 4096',
  'uploads: {max-size: 10GiB}',
  'registry: rediss://10.0.0.1:6379/3',
  'register-from: ["10.0.0.0/8", "fd00::/8", 10.0.0.1]',
  'pools: {eu: {members: ["[fd00::1]:7001"], dns: [_hopline._TCP.example.org, files.example.org:7001]}}',
  'pools: {eu: {members: [10.0.1.5:7001], health: {interval: 1.5s, timeout: .5s, slow-start: 0}}}',
  'limits: {idle: 90, max-payload: 4K}',
  'pools: {eu: {members: [10.0.1.5:7001]}}\nsites: {"*": {route: ["@eu|10.0.0.2:7001", "10.0.0.3:7001"]}}',
  'sites: {"*.example.org": {servers: [10.0.0.5, "[fd00::1]:80", {address: web, weight: 2}], dns: [web.example.org:80]}}',
];
for (const text of fine) {
  test(`an editor and the check both take ${JSON.stringify(text)}`, async (t) => {
    assert.ok(isValid(parse(text)), JSON.stringify(isValid.errors));
    const file = await makeConfigFile(t, text);
    await readConfig(file.path);
  });
}

for (const name of ['fixtures/config/hopline.yaml', 'fixtures/config/gateway.yaml']) {
  test(`an editor takes ${name}`, async () => {
    assert.ok(isValid(parse(await readFile(fixture(name), 'utf8'))), JSON.stringify(isValid.errors));
  });
}
