/** Small files that are sent ahead of the answers: over honest lines, over lines that break anywhere, and to origins that do as they like. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type FileOutcome,
  type NodeOptions,
  parseVia,
  type UploadFilesOptions,
  type UploadResult,
  type UploadsEvent,
  uploadFiles,
} from '../../src/index.ts';
import {
  type Answer,
  decodeRequest,
  encodeMessage,
  type Message,
  type Request,
} from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import { startChain, startPeer, until } from '../support/chain.ts';
import { openCircuit, sha256 } from '../support/circuits.ts';
import { type Change, flipAt, startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** Files here, and what sends them over one circuit at a time to whoever listens at `address`. */
async function startClient(t: TestContext, sizes: readonly number[]) {
  const home = await makeTempRoot(t);
  const names = sizes.map((_, index) => `f${index}`);
  const contents = new Map<string, Buffer>();
  for (const [index, name] of names.entries()) contents.set(name, await home.writeRandom(name, sizes[index] ?? 0));
  const events: UploadsEvent[] = [];
  const send = (address: string, more: Partial<UploadFilesOptions> = {}) =>
    uploadFiles({
      routes: parseVia(address, 'x').routes,
      files: names.map((file) => ({ source: path.join(home.path, file), file })),
      parallel: 1,
      onEvent: (event) => events.push(event),
      ...more,
    });
  return { home, names, contents, events, send };
}

async function startOrigin(t: TestContext, options: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { uploads: {}, ...options });
  const [node] = nodes;
  assert.ok(node);
  return { root, node, port: node.address.port, address: `127.0.0.1:${node.address.port}` };
}

/** What was reported to be there must be there, as it is here. */
async function checkReported(
  outcomes: readonly FileOutcome<UploadResult>[],
  root: string,
  contents: ReadonlyMap<string, Buffer>,
): Promise<void> {
  assert.equal(outcomes.length, contents.size);
  for (const { file, result, error } of outcomes) {
    if (error) continue;
    assert.ok(result, `${file} has no outcome`);
    assert.deepEqual(await readFile(path.join(root, file)), contents.get(file), file);
  }
}

/** An origin that answers each request as `answer` says, once all of it has come. */
async function startOddOrigin(
  t: TestContext,
  answer: (request: Request, send: (answers: Message[]) => void, cut: () => void) => void,
) {
  const { address } = await startPeer(t, (socket) => {
    const send = (answers: Message[]) => void socket.write(Buffer.concat(answers.map(encodeMessage)));
    let held: Buffer = Buffer.alloc(0);
    let isOpen = false;
    /** Of the file that the last PUT was about. */
    let size = 0;
    const takeOpen = () => {
      const open = decodeOpen(held, 65_536);
      isOpen = open.kind === 'ok';
      return open.kind === 'ok' ? open.used : 0;
    };
    const takeRequest = () => {
      const request = decodeRequest(held, 65_536);
      if (request.kind !== 'ok') return 0;
      if (request.value.type === 'put') size = request.value.size;
      const end = request.used + (request.value.type === 'write' ? size : 0);
      if (held.length < end) return 0;
      answer(request.value, send, () => socket.destroy());
      return end;
    };
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      for (let used = -1; used !== 0; held = held.subarray(used)) used = isOpen ? takeRequest() : takeOpen();
    });
    socket.on('end', () => socket.end());
  });
  return address;
}

/** What an origin says to a request of an upload if all is well. */
function goodAnswer(request: Request, ahead: boolean): Message {
  switch (request.type) {
    case 'put':
      return {
        type: 'ready',
        digest: 'sha256',
        missing: request.size > 0 ? [[0, 1]] : [],
        ...(ahead ? { ahead } : {}),
      };
    case 'write':
      return { type: 'stored', index: request.index };
    default:
      return { type: 'committed', replaced: false };
  }
}

test('an origin that takes files ahead gets many before it answers, and one that does not gets one request at a time', async (t) => {
  for (const ahead of [true, false]) {
    const { send, names } = await startClient(t, [10, 20, 0, 30, 40, 50]);
    const seen: string[] = [];
    const held: Message[] = [];
    let mostHeld = 0;
    const address = await startOddOrigin(t, (request, answer) => {
      seen.push(request.type);
      held.push(goodAnswer(request, ahead));
      mostHeld = Math.max(mostHeld, held.length);
      // Behind the first file it answers nothing until it has three more.
      if (ahead && seen.length > 3 && seen.filter((type) => type === 'commit').length < 4) return;
      setImmediate(() => answer(held.splice(0)));
    });
    const outcomes = await send(address);
    assert.deepEqual(
      outcomes.map(({ error }) => error?.message),
      names.map(() => undefined),
    );
    for (const type of ['put', 'commit']) assert.equal(seen.filter((other) => other === type).length, names.length);
    assert.equal(mostHeld, ahead ? 8 : 1);
  }
});

test('a file whose COMMIT was not answered is sent again where the origin denies that there is one', async (t) => {
  const { send } = await startClient(t, [10]);
  const asked: string[] = [];
  const address = await startOddOrigin(t, (request, answer, cut) => {
    asked.push(request.type);
    if (request.type === 'stat') answer([{ type: 'refused', code: 'FILE_DENIED', hop: 1 }]);
    else if (request.type === 'commit' && !asked.includes('stat')) cut();
    else if (request.type !== 'ping') answer([goodAnswer(request, true)]);
  });
  const [outcome] = await send(address, { retry: 3 });
  assert.equal(outcome?.error, undefined);
  assert.deepEqual(
    asked.filter((type) => type !== 'ping'),
    ['put', 'write', 'commit', 'stat', 'put', 'write', 'commit'],
  );
});

const sizes = [700, 1, 0, 3000, 40, 40, 900, 5];

test('wherever a line breaks for once, every file arrives, and each as often as it was reported', async (t) => {
  const { root, node, port } = await startOrigin(t);
  for (const [way, end] of [
    ['forward', 'reset'],
    ['forward', 'end'],
    ['back', 'reset'],
  ] as const) {
    const { send, contents, names, home } = await startClient(t, sizes);
    const whole = await startCutter(t, port, { way, end, at: Number.POSITIVE_INFINITY });
    await send(whole.address, { files: filesIn(`${way}-${end}`, home.path, names) });
    assert.ok(whole.passed() > 300, 'the line has passed what was sent');
    for (let at = 1; at < whole.passed(); at += 173) {
      const directory = `${way}-${end}-${at}`;
      const line = await startCutter(t, port, { way, end, at });
      const outcomes = await send(line.address, { files: filesIn(directory, home.path, names), retry: 3 });
      await checkReported(byBaseName(outcomes), path.join(root.path, directory), contents);
      assert.deepEqual(
        outcomes.map(({ error, result }) => [error?.message, result?.alreadyThere, result?.replaced]),
        names.map(() => [undefined, false, false]),
        `${way}, ${end}, cut at byte ${at}`,
      );
    }
  }
  // What was cut off may still be at work in the directory that is removed.
  await until(() => node.stats().open === 0);
});

test('wherever a line breaks for good, what was reported to be there is there, and progress counts nothing else', async (t) => {
  const { root, node, port } = await startOrigin(t);
  const { send, contents, names, home, events } = await startClient(t, sizes);
  for (let at = 400; at < 5000; at += 463) {
    const directory = `d${at}`;
    events.length = 0;
    const line = await startCutter(t, port, { way: 'forward', end: 'reset', at, isForGood: true });
    const outcomes = await send(line.address, { files: filesIn(directory, home.path, names), retry: 0 });
    await checkReported(byBaseName(outcomes), path.join(root.path, directory), contents);
    const reported = outcomes.reduce((sum, { result }) => sum + (result?.size ?? 0), 0);
    const progress = events.findLast((event) => event.kind === 'progress');
    const all = [...contents.values()].reduce((sum, { length }) => sum + length, 0);
    const counted = progress?.kind === 'progress' ? progress.bytes : 0;
    assert.ok(counted >= reported && counted <= all, `${counted} counted, ${reported} reported`);
    assert.ok(outcomes.some(({ error }) => error) || at > 4000);
  }
  await until(() => node.stats().open === 0);
});

test('files that are refused, each for a reason of its own, leave those ahead and behind alone', async (t) => {
  const { root, node, address } = await startOrigin(t);
  const { send, names, contents } = await startClient(t, [10, 20, 30, 40, 50, 60, 70]);
  await mkdir(path.join(root.path, 'f2'));
  await writeFile(path.join(root.path, 'f3'), 'another');
  await writeFile(path.join(root.path, 'f5'), contents.get('f5') ?? '');
  const outcomes = await send(address);
  assert.deepEqual(
    outcomes.map(({ error, result }) => error?.code ?? (result?.alreadyThere ? 'there' : 'sent')),
    ['sent', 'sent', 'DISK_EXISTS', 'DISK_EXISTS', 'sent', 'there', 'sent'],
  );
  assert.equal(node.stats().served, 1, 'over one circuit');
  assert.equal(await readFile(path.join(root.path, 'f3'), 'utf8'), 'another');
  const sent = outcomes.filter(({ result }) => result);
  await checkReported(sent, root.path, new Map(sent.map(({ file }) => [file, contents.get(file) ?? Buffer.alloc(0)])));
  assert.equal(names.length, outcomes.length);
});

test('a file that comes damaged is sent again, and nothing else is', async (t) => {
  const { root, node, port } = await startOrigin(t);
  const { send, contents, events, home, names } = await startClient(t, [1000, 2000, 3000, 4000]);
  const third = contents.get('f2') as Buffer;
  let isDone = false;
  const damage: Change = (bytes) => {
    const at = isDone ? -1 : bytes.indexOf(third.subarray(0, 100));
    if (at < 0) return bytes;
    isDone = true;
    return flipAt([at + 7])(bytes);
  };
  const outcomes = await send(await startTamperer(t, port, { forward: damage }), {
    files: filesIn('.', home.path, names),
  });
  await checkReported(outcomes, root.path, contents);
  assert.deepEqual(
    outcomes.map(({ result }) => result?.wastedBytes),
    [0, 0, 3000, 0],
  );
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'retry').map((event) => 'file' in event && event.file),
    ['f2'],
  );
  assert.equal(node.stats().served, 1, 'over the same circuit');
});

test('a limit of the rate keeps the order of what is sent', async (t) => {
  const { root, address } = await startOrigin(t);
  const { send, contents } = await startClient(t, [60_000, 50_000, 0, 70_000, 100]);
  await checkReported(await send(address, { limitRate: 400_000 }), root.path, contents);
});

test('what was sent ahead of a refusal is refused as well, bytes and all, and the next PUT is taken', async (t) => {
  const { root, node } = await startOrigin(t);
  await writeFile(path.join(root.path, 'taken'), '');
  const bytes = randomBytes(200_000);
  const file = { size: bytes.length, pieceBytes: 1_048_576, version: 'v1', upload: '0'.repeat(32) };
  const put = (name: string): Message => ({ type: 'put', name, ...file, digests: ['sha256'] });
  const write = (content = bytes) => ({ type: 'write', index: 0, digest: sha256(content) }) as const;
  const commit = [{ type: 'commit' }] as const;
  const circuit = await openCircuit(t, [node], [put('a')]);
  assert.equal((await circuit.receive('ready')).ahead, true);
  void circuit.sendPiece([write()], bytes, commit);
  for (const name of ['../out', 'taken']) void circuit.sendPiece([put(name), write()], bytes, commit);
  void circuit.sendPiece([put('damaged'), write(Buffer.from('others'))], bytes, commit);
  void circuit.sendPiece([put('b'), write()], bytes, commit);
  const refused = async (types: readonly Answer['type'][], code: string) => {
    for (const type of types) await assert.rejects(circuit.receive(type), { code });
  };
  const all = ['ready', 'stored', 'committed'] as const;
  for (const type of ['stored', 'committed'] as const) await circuit.receive(type);
  await refused(all, 'FILE_DENIED');
  await refused(all, 'DISK_EXISTS');
  await circuit.receive('ready');
  await refused(['stored', 'committed'], 'HASH_MISMATCH');
  for (const type of all) await circuit.receive(type);
  assert.deepEqual(await root.list(), ['a', 'b', 'taken']);
  for (const name of ['a', 'b']) assert.deepEqual(await readFile(path.join(root.path, name)), bytes);
});

function byBaseName(outcomes: readonly FileOutcome<UploadResult>[]): readonly FileOutcome<UploadResult>[] {
  return outcomes.map((outcome) => ({ ...outcome, file: path.basename(outcome.file) }));
}

/** Files of `home` that get their names in a directory of their own. */
function filesIn(directory: string, home: string, names: readonly string[]) {
  return names.map((file) => ({
    source: path.join(home, file),
    file: directory === '.' ? file : `${directory}/${file}`,
  }));
}

interface Cut {
  /** Whose bytes are counted. */
  readonly way: 'forward' | 'back';
  readonly end: 'reset' | 'end';
  /** Bytes that pass before the line breaks. */
  readonly at: number;
  /** Whether all further connections break at once. @default the first alone breaks */
  readonly isForGood?: boolean;
}

/** A line to `port` that breaks once so many bytes have passed. */
async function startCutter(t: TestContext, port: number, { way, end, at, isForGood = false }: Cut) {
  let connections = 0;
  let passed = 0;
  const { address } = await startPeer(t, (near) => {
    connections += 1;
    const isCut = connections === 1;
    if (isForGood && !isCut) return void near.destroy();
    const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('end', () => far.end()).on('close', () => far.destroy());
    far.on('end', () => near.end());
    const pass = (from: net.Socket, to: net.Socket, isCounted: boolean) =>
      from.on('data', (bytes: Buffer) => {
        if (!isCounted || !isCut) return void to.write(bytes);
        const left = at - passed;
        passed += Math.min(left, bytes.length);
        if (left > bytes.length) return void to.write(bytes);
        from.pause();
        // What has passed arrives: the other end may do with it what it likes.
        to.write(bytes.subarray(0, left), () => {
          if (end === 'reset') far.resetAndDestroy();
          else far.end();
          near.destroy();
        });
      });
    pass(near, far, way === 'forward');
    pass(far, near, way === 'back');
  });
  return { address, passed: () => passed };
}
