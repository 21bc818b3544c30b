/** Ways that end at a known key: whatever happens on them, nothing goes over them, or over others, in plain. */

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Address,
  asHoplineError,
  createMessage,
  download,
  downloadFiles,
  downloadTree,
  type Hop,
  openSender,
  parseAddress,
  parseVia,
  RemoteFiles,
  type SenderOptions,
  Tunnels,
  upload,
} from '../../src/index.ts';
import { nodeAead } from '../../src/secure/records/aead.ts';
import { parseHop } from '../../src/wire/address.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import { wireCodes } from '../../src/wire/native/refusal.ts';
import { addressOf, startChain, startPeer } from '../support/chain.ts';
import { keyed, readSent } from '../support/keyed.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const { key } = newKey();
const name = 'secret-name.txt';
const limits = { probeMs: 200, connectMs: 800, openMs: 800, quietMs: 50, retryMinMs: 1, retryMaxMs: 2 };

/** A peer that answers each connection by `answer` once something came, and keeps what came. */
async function startListener(t: TestContext, answer: Buffer | 'cut' | 'silent') {
  const heard: Buffer[][] = [];
  const peer = await startPeer(t, (socket) => {
    const parts: Buffer[] = [];
    heard.push(parts);
    socket.on('data', (bytes) => parts.push(bytes));
    socket.once('data', () => {
      if (answer === 'cut') socket.destroy();
      else if (answer !== 'silent') socket.write(answer);
    });
  });
  return { ...peer, heard: () => heard.map((parts) => Buffer.concat(parts)), forget: () => heard.splice(0) };
}

function hopAt(address: string): Hop {
  const parsed = parseHop(address);
  assert.ok(parsed.kind === 'ok');
  return parsed.hop;
}

async function sendOver(via: readonly Hop[], options: SenderOptions): Promise<void> {
  const sender = await openSender({ via, ...options });
  try {
    await sender.send(createMessage('5', 'secret-name', 'secret-name'));
  } finally {
    await sender.close();
  }
}

const answers: [what: string, answer: Buffer | 'cut' | 'silent'][] = [
  ...wireCodes.map((code): [string, Buffer] => [code, encodeMessage({ type: 'refused', code, hop: 1 })]),
  ['a cut', 'cut'],
  ['silence', 'silent'],
  ['a STATUS in plain', encodeMessage({ type: 'status', size: 1, version: 'v', pieceBytes: 1024, digest: 'sha256' })],
  ['READY in plain', encodeMessage({ type: 'ready', digest: 'sha256', missing: [[0, 1]] })],
  ['classic text', Buffer.from('NOT FOUND')],
  ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['noise', Buffer.from([0xfe, 2, 0, 0, 0, 0, 0, 48, ...randomBytes(48)])],
];

test('no answer makes a client send a name or content in plain, or without the key that it has', async (t) => {
  const out = await makeTempRoot(t);
  const content = randomBytes(5000);
  const source = path.join(out.path, 'source');
  await writeFile(source, content);
  for (const [what, answer] of answers) {
    await t.test(what, async (t) => {
      const listeners = [await startListener(t, answer), await startListener(t, answer)] as const;
      const vias = listeners.map(({ address }) => `${address},127.0.0.1:9`);
      const route = keyed(parseVia(vias, name), key.public);
      const { routes } = route;
      const common = { limits, retry: 1, identity: newKey().key } as const;
      const target = path.join(out.path, 'got');
      const runs = [
        download({ route, output: target, classic: 'fallback', ...common }),
        downloadFiles({ routes, files: [name], output: target, ...common }).then(([outcome]) => {
          throw outcome?.error;
        }),
        downloadTree({ routes, directory: name, output: target, ...common }),
        upload({ source, route, ...common }),
        new RemoteFiles({ routes, ...common }).open(name),
        new Tunnels({ routes, ...common }).open(hopAt('secret-name.example:80')),
        sendOver((routes[0] ?? []).flat(), common),
      ];
      for (const run of await Promise.allSettled(runs)) assert.equal(run.status, 'rejected');
      for (const bytes of listeners.flatMap(({ heard }) => heard())) {
        const sent = readSent(bytes);
        // Hops are asked whether they are there, by those who look for the one that is not.
        const allowed = ['open', 'open,sealed by its key', 'open,ping', ''];
        assert.ok(allowed.includes(sent.join()), `${what}: ${sent.join()}`);
        assert.ok(!bytes.includes('secret-name'));
        assert.ok(!bytes.includes(content.subarray(0, 16)));
      }
    });
  }
});

test('after three answers in a row that were not sealed by the node, nobody is asked any more', async (t) => {
  const out = await makeTempRoot(t);
  const forged = Buffer.from([0xfe, 2, 0, 0, 0, 0, 0, 48, ...randomBytes(48)]);
  const peers = [await startListener(t, forged), await startListener(t, forged)] as const;
  const vias = peers.map(({ address }) => address);
  const route = keyed(parseVia(vias, name), key.public);
  await assert.rejects(download({ route, output: out.path, limits, retry: 100 }), { code: 'SECURE_FAILED' });
  assert.equal(peers.flatMap(({ heard }) => heard()).length, 3);
});

test('a client that cannot encrypt sends nothing but where it wanted to go', async (t) => {
  const out = await makeTempRoot(t);
  const peer = await startListener(t, 'silent');
  const route = keyed(parseVia(peer.address, name), key.public);
  const secret = generateKeyPairSync('ed25519').privateKey;
  const identity = { ...newKey().key, secret };
  await assert.rejects(download({ route, output: out.path, limits, identity }), { code: 'SECURE_FAILED' });
  t.mock.method(nodeAead, 'seal', () => {
    throw new Error('no such cipher');
  });
  await assert.rejects(download({ route, output: out.path, limits }), { code: 'SECURE_FAILED' });
  for (const bytes of peer.heard()) assert.ok(['', 'open'].includes(readSent(bytes).join()));
});

test('whoever refuses in the name of the last hop keeps nobody from another way to it', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom(name, 10);
  const out = await makeTempRoot(t);
  const { nodes } = await startChain(t, 2, root.path, { identity: key, next: ['127.0.0.1'] });
  const [relay, origin] = nodes.map(addressOf) as [string, string];
  for (const code of wireCodes) {
    const liar = await startListener(t, encodeMessage({ type: 'refused', code, hop: 2, reason: 'ENOTFOUND' }));
    const route = keyed(parseVia(`${liar.address}|${relay},${origin}`, name), key.public);
    const result = await download({ route, output: path.join(out.path, code), limits });
    assert.equal(result.reroutes, 1, code);
    assert.ok(liar.heard().length > 0);
  }
});

test('some ways with keys and others without are refused before anybody is asked', async (t) => {
  const peers = [await startListener(t, 'silent'), await startListener(t, 'silent')] as const;
  const [one, other] = peers.map(({ address }) => address) as [string, string];
  const plans: [vias: string[], named: RegExp][] = [
    [[`${one}|${other}`], new RegExp(`^hop 1 \\(${other}\\) has no key, and hop 1 \\(${one}\\) has one`)],
    [[one, other], new RegExp(`^route 2, hop 1 \\(${other}\\) has no key, and route 1, hop 1`)],
    [[`${other},${one}`, `${one},${other}`], /^route 2, hop 2 /],
    [[`${one}|@members`], /^hop 1 \(@members\) has no key/],
  ];
  const out = await makeTempRoot(t);
  const parsed = parseAddress(other);
  const pools = [{ name: 'members', members: parsed.kind === 'ok' ? [parsed.hop] : [] }];
  for (const [vias, message] of plans) {
    const route = keyed(parseVia(vias, name), (address) => (address === one ? key.public : undefined));
    const { routes } = route;
    const common = { limits, pools };
    const runs = [
      download({ route, output: out.path, ...common }),
      downloadFiles({ routes, files: [name], output: out.path, ...common }),
      downloadTree({ routes, directory: name, output: out.path, ...common }),
      upload({ source: fileURLToPath(import.meta.url), route, ...common }),
      (async () => new RemoteFiles({ routes, ...common }))(),
      (async () => new Tunnels({ routes, ...common }))(),
    ];
    for (const run of await Promise.allSettled(runs)) {
      assert.equal(run.status, 'rejected');
      const error = asHoplineError(run.status === 'rejected' && run.reason);
      assert.deepEqual([error.code, message.test(error.message)], ['USAGE_INVALID', true], error.stack);
    }
  }
  assert.deepEqual(
    peers.flatMap(({ heard }) => heard()),
    [],
  );
});

test('what cannot be encrypted does not go to a key', async (t) => {
  const peer = await startListener(t, 'silent');
  const route = keyed(parseVia(peer.address, name), key.public);
  const out = await makeTempRoot(t);
  const [[[hop]]] = route.routes as [[[Hop]]];
  await assert.rejects(download({ route, output: out.path, classic: true }), { code: 'USAGE_INVALID' });
  await assert.rejects(openSender({ to: hop as Address }), { code: 'USAGE_INVALID' });
  assert.deepEqual(peer.heard(), []);
});

test('a relay before a pool is told nothing of the name by which to pick a member', async (t) => {
  const peer = await startListener(t, 'cut');
  const plan = parseVia(`${peer.address},@members`, name);
  const out = await makeTempRoot(t);
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  for (const [route, isTold] of [
    [plan, true],
    [keyed(plan, key.public), false],
  ] as const) {
    await assert.rejects(download({ route, output: out.path, limits }));
    assert.equal(Buffer.concat(peer.heard()).includes(hash), isTold);
    peer.forget();
  }
});

test('one address behind two relays may be two nodes, each with its key', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom(name, 10);
  const out = await makeTempRoot(t);
  const { nodes } = await startChain(t, 2, root.path, { identity: key, next: ['127.0.0.1'] });
  const [relay, origin] = nodes.map(addressOf) as [string, string];
  const { file, routes } = parseVia([`${relay},${origin}`, origin], name);
  const keys = [newKey().key.public, key.public];
  const route = {
    file,
    routes: routes.map((places, index) => [
      ...places.slice(0, -1),
      (places.at(-1) ?? []).map((hop) => (keys[index] ? { ...hop, key: keys[index] } : hop)),
    ]),
  };
  const result = await download({ route, output: path.join(out.path, 'got') });
  assert.equal(result.reroutes, 1);
  assert.equal(result.hops.length, 1);
});
