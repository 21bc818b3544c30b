import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type DownloadEvent,
  type DownloadOptions,
  download,
  type HoplineError,
  type Limits,
  openSender,
  parseVia,
  type RunningNode,
  upload,
} from '../../src/index.ts';
import { journalPath } from '../../src/io/disk/writing/part-names.ts';
import { createMessage } from '../../src/wire/packet/packet.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { type Habits, startOriginal } from '../support/classic-peers.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const limits = { quietMs: 30, lingerMs: 300, probeMs: 1_000 };
const content = Buffer.from('the content of the file, in one line\n'.repeat(3_000));

/** An original server, one of our nodes, and a place for downloads. */
async function start(t: TestContext, habits: Habits = {}, own: Partial<Limits> = {}) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const bytes = await root.writeRandom('data.bin', 20_000);
  const { nodes } = await startChain(t, 1, root.path, { limits: { ...limits, ...own } });
  const original = await startOriginal(t, new Map([['data.bin', content]]), habits);
  return { bytes, out, nodes, node: addressOf(nodes[0] as (typeof nodes)[0]), original };
}

/** A download that may fall back, and what it told. */
async function get(via: string, output: string, options: Partial<DownloadOptions> = {}) {
  const events: DownloadEvent[] = [];
  const onEvent = (event: DownloadEvent) => void events.push(event);
  const route = parseVia(via, 'data.bin');
  const result = await download({ route, output, classic: 'fallback', limits, onEvent, ...options });
  return { result, fallbacks: events.flatMap((event) => (event.kind === 'fallback' ? [event] : [])) };
}

function failsAsClassic(hop: number, more = ''): (error: HoplineError) => boolean {
  return (error) => {
    assert.deepEqual([error.code, error.hop], ['PEER_CLASSIC', hop], error.message);
    assert.match(
      error.message,
      new RegExp(`^hop ${hop} \\(127\\.0\\.0\\.1:\\d+\\) speaks the classic dialect only${more}$`),
    );
    return true;
  };
}

for (const holdsNonsense of [false, true]) {
  const what = holdsNonsense ? 'says nothing' : 'ends the connection';
  test(`a download goes on in the classic dialect where an original ${what}, and tells which hop it is`, async (t) => {
    const { out, nodes, node, original } = await start(t, { holdsNonsense });
    const first = await startOriginal(t, new Map(), { holdsNonsense });
    for (const [via, hop] of [
      [`${first.address},${original.address}`, 1],
      [`${node},${original.address}`, 2],
    ] as const) {
      const file = path.join(out.path, `copy-${hop}`);
      const { result, fallbacks } = await get(via, file);
      assert.deepEqual(await readFile(file), content);
      assert.deepEqual([result.verified, result.piecesDigest], [false, null]);
      assert.equal(fallbacks.length, 1);
      assert.ok(failsAsClassic(hop)(fallbacks[0]?.failure as HoplineError));
    }
    // What an original holds and says nothing on is idle until the node's deadline, a minute.
    if (!holdsNonsense) await until(() => nodes.every((one) => one.stats().open === 0));
  });
}

test('another native way is taken, and nothing is asked of the original but what it speaks', async (t) => {
  const { bytes, out, node, original } = await start(t);
  const { result, fallbacks } = await get(`${original.address}|${node}`, path.join(out.path, 'copy'));
  assert.deepEqual(await readFile(path.join(out.path, 'copy')), bytes);
  assert.deepEqual([result.verified, result.reroutes, fallbacks.length], [true, 1, 0]);
  assert.ok(!original.requests.some((request) => request.startsWith('data.bin')));
});

test('the classic dialect is what is left where every other way fails', async (t) => {
  const { out, original } = await start(t);
  const { result, fallbacks } = await get(`${original.address}|127.0.0.1:1`, path.join(out.path, 'copy'));
  assert.deepEqual([result.verified, fallbacks.length], [false, 1]);
  assert.deepEqual(await readFile(path.join(out.path, 'copy')), content);
});

test('without leave to fall back, an original is an error that names it', async (t) => {
  const { out, node, original } = await start(t, { holdsNonsense: true });
  const options = { classic: false };
  await assert.rejects(get(`${node},${original.address}`, path.join(out.path, 'copy'), options), failsAsClassic(2));
  assert.deepEqual(await readdir(out.path), []);
});

test('a node that is slower than every wait is not taken for an original, though it answers classic requests', async (t) => {
  // Its native answer is there before the classic one, which waits for as long first.
  const own = { ...limits, quietMs: 1000 };
  const { bytes, out, nodes } = await start(t, {}, own);
  const port = (nodes[0] as (typeof nodes)[0]).address.port;
  let release = () => {};
  const asked = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = await startPeer(t, (near) => {
    near.once('data', (head: Buffer) => {
      near.pause();
      if (head[0] !== 0xff) release();
      void asked.then(() => {
        const far = net.connect(port, '127.0.0.1');
        far.on('error', () => near.destroy());
        far.write(head);
        near.pipe(far).pipe(near);
      });
    });
  });
  const { result, fallbacks } = await get(slow.address, path.join(out.path, 'copy'), { limits: own });
  assert.deepEqual([result.verified, result.reroutes, fallbacks.length], [true, 0, 0]);
  assert.deepEqual(await readFile(path.join(out.path, 'copy')), bytes);
});

test('of a circuit that is slow to open, the nearest hop alone is asked, and nobody once it is open', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const bytes = await root.writeRandom('data.bin', 20_000);
  const [relay, origin] = (await startChain(t, 2, root.path, { limits })).nodes as [RunningNode, RunningNode];
  let asked = 0;
  let open = () => {};
  const slow = await startPeer(t, (near) => {
    asked += 1;
    near.on('error', () => {});
    if (asked > 1) return open();
    near.pause();
    open = () => {
      const far = net.connect(relay.address.port, '127.0.0.1');
      far.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
    };
  });
  const { fallbacks } = await get(`${slow.address},${addressOf(origin)}`, path.join(out.path, 'copy'));
  assert.deepEqual(await readFile(path.join(out.path, 'copy')), bytes);
  assert.deepEqual([asked, fallbacks.length], [2, 0]);
});

test('a hop that is silent in both dialects fails as before', async (t) => {
  const { out } = await start(t);
  const silent = await startPeer(t, (socket) => void socket.resume());
  const own = { ...limits, connectMs: 400, openMs: 1500 };
  const failed = get(silent.address, path.join(out.path, 'copy'), { limits: own });
  await assert.rejects(failed, (error: HoplineError) => error.code === 'TIMEOUT_HEAD');
});

test('an unfinished file of an earlier run is not given up for one that nobody verifies, nor one that is there', async (t) => {
  const { out, original } = await start(t);
  await writeFile(path.join(out.path, '.copy.part'), 'what has come');
  await writeFile(journalPath(path.join(out.path, '.copy.part')), 'what it is');
  await assert.rejects(get(original.address, path.join(out.path, 'copy')), failsAsClassic(1));
  assert.equal(String(await readFile(path.join(out.path, '.copy.part'))), 'what has come');
  await writeFile(path.join(out.path, 'there'), 'a file');
  await assert.rejects(
    get(original.address, path.join(out.path, 'there')),
    (error: HoplineError) => error.code === 'DISK_EXISTS',
  );
});

test('an upload over an original says that there is none, and a message over it who it is', async (t) => {
  const { out, node, original } = await start(t);
  const source = path.join(out.path, 'mine');
  await writeFile(source, 'content');
  const route = parseVia(`${node},${original.address}`, 'mine');
  await assert.rejects(upload({ source, route, limits }), failsAsClassic(2, ', which knows no uploads'));
  const via = route.routes[0]?.flat() ?? [];
  const sender = await openSender({ via, limits });
  await assert.rejects(sender.send(createMessage('1', 'policy', 'payload')), failsAsClassic(2));
  await sender.close();
});

test('get says in one line that it goes on in the classic dialect, and fails with --native', async (t) => {
  const { out, node, original } = await start(t);
  const get = (...flags: string[]) =>
    runProgram(t, ['get', '--via', `${node},${original.address}`, 'data.bin', ...flags], { cwd: out.path });
  const one = await get();
  const line = `hop 2 (${original.address}) speaks the classic dialect only; nothing can be verified\n`;
  assert.deepEqual([one.code, one.stderr], [0, line]);
  assert.match(one.stdout, /verified {2}no, the classic dialect has no digests/);
  const json = await get('--json', '-f');
  const told = json.stdout.split('\n').flatMap((text) => (text === '' ? [] : [JSON.parse(text)]));
  assert.deepEqual(
    told.filter(({ event }) => event === 'fallback').map(({ code, hop }) => [code, hop]),
    [['PEER_CLASSIC', 2]],
  );
  const native = await get('--native', '-o', 'other');
  assert.deepEqual([native.code, native.stderr.includes('--classic')], [5, true]);
  assert.equal((await get('--native', '--classic')).code, 2);
  assert.deepEqual(await readdir(path.join(out.path)), ['data.bin']);
});
