import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { download, parseVia } from '../../src/index.ts';
import { makeCertificate, noCertificates } from '../support/certificate.ts';
import { makeConfigFile } from '../support/config-file.ts';
import { runProgram, type Started, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const withSignals = { skip: process.platform === 'win32' && 'Windows has no SIGHUP' };

async function addressOf(node: Started): Promise<string> {
  return /listening on (\S+)/.exec(await node.saw(/listening on .*\n/))?.[1] as string;
}

test('check prints what is in effect, and that the file is valid', async (t) => {
  const file = await makeConfigFile(t, 'listen: 127.0.0.1:0\nroot: files\n');
  const { code, stdout, stderr } = await runProgram(t, ['check', file.path]);
  assert.equal(code, 0);
  assert.equal(stderr, `${file.path}: valid\n`);
  assert.match(stdout, /^listen: 127\.0\.0\.1:0\n/);
  assert.match(stdout, /\n {2}idle: 1m\n/);
  const json = await runProgram(t, ['check', '--json', file.path]);
  assert.equal(JSON.parse(json.stdout).root, path.join(file.directory, 'files'));
});

test('check warns of a certificate that ends soon, and refuses one beside a key of another kind', {
  skip: noCertificates,
}, async (t) => {
  const text =
    'sites: { "*": { root: . } }\ngateway: { listen: "127.0.0.1:0", tls: { cert: a.test.pem, key: a.test.key } }\n';
  const file = await makeConfigFile(t, text);
  await makeCertificate(file.directory, 'a.test');
  const good = await runProgram(t, ['check', file.path]);
  assert.equal(good.code, 0);
  assert.match(good.stderr, /: warning: the certificate expires on \d{4}-\d\d-\d\d\n.*: valid\n$/);
  const { certFile } = await makeCertificate(file.directory, 'rsa.test', 'rsa');
  await copyFile(certFile, path.join(file.directory, 'a.test.pem'));
  const { code, stdout, stderr } = await runProgram(t, ['check', file.path]);
  assert.equal(code, 13);
  assert.equal(stdout, '');
  assert.match(stderr, /^hopline: .*: gateway\.tls: the certificate and its key do not belong together\n/);
});

test('check tells every mistake, a line each, and has an exit code of its own', async (t) => {
  const file = await makeConfigFile(t, 'listen: 1\nnxt: []\n');
  const { code, stdout, stderr } = await runProgram(t, ['check', file.path]);
  assert.equal(code, 13);
  assert.equal(stdout, '');
  assert.deepEqual(stderr.split('\n'), [
    `hopline: ${file.path}:1:9: listen: read 1, expected HOST:PORT to listen on, such as 127.0.0.1:7001`,
    `hopline: ${file.path}:2:1: nxt: read the unknown key "nxt", expected a known one; did you mean next?`,
    '  hint: mend the file where it says; `hopline check FILE` tells all mistakes of one for a node, and `hopline key check FILE` those of authorized keys',
    '',
  ]);
  const json = await runProgram(t, ['check', '--json', file.path]);
  assert.equal(json.code, 13);
  assert.equal(JSON.parse(json.stdout).problems.length, 2);
});

test('a node takes its options from a file, and flags take the place of its keys', async (t) => {
  const file = await makeConfigFile(
    t,
    'listen: 127.0.0.1:0\nroot: files\nlog: {format: json, level: error}\nlimits: {max-connections: 7}\n',
  );
  const out = await makeTempRoot(t);
  const node = startProgram(t, ['node', '--config', file.path, '--log-level', 'info']);
  const address = await addressOf(node);
  await download({ route: parseVia(address, 'data.bin'), output: out.path });
  assert.deepEqual(
    await readFile(path.join(out.path, 'data.bin')),
    await readFile(path.join(file.directory, 'files/data.bin')),
  );
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  for (const line of stderr.trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line), line);
  assert.match(stderr, /"node started"/);
});

test('a node does not start with a file that is not valid', async (t) => {
  const file = await makeConfigFile(t, 'listen: 127.0.0.1:0\nroot: gone\n');
  const { code, stdout, stderr } = await runProgram(t, ['node', '--config', file.path]);
  assert.equal(code, 13);
  assert.equal(stdout, '');
  assert.match(stderr, /:2:7: root: read "gone", expected a directory that exists/);
});

test('SIGHUP puts the file in effect, and a bad file leaves the old one', withSignals, async (t) => {
  const base = 'listen: 127.0.0.1:0\nroot: files\nlog: {format: json}\n';
  const file = await makeConfigFile(t, base);
  const out = await makeTempRoot(t);
  const node = startProgram(t, ['node', '--config', file.path]);
  const route = parseVia(await addressOf(node), 'data.bin');
  await file.write(`${base}limits: {max-name: 3}\n`);
  node.child.kill('SIGHUP');
  await node.saw(/"changed":\["limits\.max-name"\].*"configuration reloaded"/);
  await assert.rejects(download({ route, output: out.path }), { code: 'FILE_DENIED' });
  await file.write(`${base}limits: {max-name: 0}\nnxt: 1\n`);
  node.child.kill('SIGHUP');
  const refusals = /configuration refused, the old one goes on: [^"]*:4:20: limits\.max-name: [\s\S]*:5:1: nxt: /;
  await node.saw(refusals);
  await assert.rejects(download({ route, output: out.path }), { code: 'FILE_DENIED' });
  await file.write(base.replace(':0', ':1'));
  node.child.kill('SIGHUP');
  await node.saw(/the old one goes on: listen: .*needs a restart/);
  await file.write(base.replace('json', 'text'));
  node.child.kill('SIGHUP');
  await node.saw(/ info {2}configuration reloaded changed=/);
  await download({ route, output: out.path });
  node.child.kill('SIGTERM');
  assert.equal((await node.finished).code, 0);
});

test('SIGHUP is passed on to workers, unless the file is bad', withSignals, async (t) => {
  const base = 'listen: 127.0.0.1:0\nroot: files\n';
  const file = await makeConfigFile(t, base);
  const node = startProgram(t, ['node', '--config', file.path, '--workers', '2']);
  const started = /(node started[\s\S]*){2}/;
  await addressOf(node);
  await node.saw(started);
  await file.write(`${base}next: any\n`);
  node.child.kill('SIGHUP');
  await node.saw(/hopline: configuration refused, the old one goes on: .*:3:7: next: read "any", expected a list/);
  await file.write(`${base.replace(':0', ':1')}`);
  node.child.kill('SIGHUP');
  await node.saw(/hopline: configuration refused, .*listen: .*needs a restart/);
  await file.write(`${base}next: [any]\n`);
  node.child.kill('SIGHUP');
  await node.saw(/(configuration reloaded changed=\["next"\][\s\S]*){2}/);
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.equal(stderr.match(/configuration reloaded/g)?.length, 2);
});

test('a node without a file stops at SIGHUP, as it does at SIGTERM', withSignals, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0']);
  await addressOf(node);
  node.child.kill('SIGHUP');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.match(stderr, /node stopped/);
});
