/** Whatever other machines send, and wherever it is shown: one line, and nothing that a terminal obeys. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { createFetchReport } from '../../src/cli/fetch/fetch-report.ts';
import { createFilesTalk, exitAsDue } from '../../src/cli/files/file-outcomes.ts';
import { createGetReport } from '../../src/cli/get/get-report.ts';
import { createLog } from '../../src/cli/logging.ts';
import { createPutReport } from '../../src/cli/put/put-report.ts';
import { ExitWith, reportFailure } from '../../src/cli/terminal/failure.ts';
import { formatRows, jsonLine, print, say } from '../../src/cli/terminal/lines.ts';
import { createReport, noReport } from '../../src/cli/terminal/report.ts';
import { noteTaken } from '../../src/client/circuit/opening.ts';
import { refusedError } from '../../src/client/circuit/refusal-text.ts';
import { statusError } from '../../src/fetch/redirects.ts';
import { createAccessFormat } from '../../src/gateway/access-log/access-format.ts';
import { errorCodes, type Hop, HoplineError, parseVia } from '../../src/index.ts';
import { parseHop } from '../../src/wire/address.ts';
import { decodeClassicRequest, decodeClassicSize } from '../../src/wire/classic/classic-text.ts';
import type { Decoded } from '../../src/wire/decoded.ts';
import { encodeFrame } from '../../src/wire/native/frame.ts';
import { decodeAnswer, decodeRequest } from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import { wireCodes } from '../../src/wire/native/refusal.ts';
import { createPacketDecoder } from '../../src/wire/packet/packet.ts';
import { startPeer } from '../support/chain.ts';
import { anyText, assertLines, assertSeen } from '../support/foreign-text.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** What `work` prints on both streams. */
function printed(work: () => void): string {
  let text = '';
  const streams = [process.stdout, process.stderr] as const;
  const writes = streams.map((stream) => stream.write);
  const keep = (part: unknown) => {
    text += String(part);
    return true;
  };
  for (const stream of streams) stream.write = keep;
  try {
    work();
  } finally {
    for (const [index, stream] of streams.entries()) stream.write = writes[index] as never;
  }
  return text;
}

const [hops = []] = parseVia('10.0.0.1:1,10.0.0.2:2', 'x').routes.map((places) => places.flat());
const route = (file: string) => ({ ...parseVia('10.0.0.1:1', 'x'), file });

/** A frame of some type whose fields hold anything. */
const types = [
  'open stat read digest list ping put write commit status data end listing pong connected ready stored taken committed refused',
].flatMap((words) => words.split(' '));
const fields =
  'traceparent hops hop trace deadlineMs name digests offset length version size pieceBytes upload digest index mtimeNs entries last skipped software roles load missing address code reason kind path mode target';
const anyValue = fc.oneof(
  anyText,
  fc.array(anyText, { maxLength: 2 }),
  fc.dictionary(anyText, anyText, { maxKeys: 2 }),
);
const anyFrame = fc.record(
  {
    type: fc.oneof(fc.constantFrom(...types), anyText),
    ...Object.fromEntries(fields.split(' ').map((key) => [key, anyValue])),
  },
  { requiredKeys: ['type'] },
);

function assertBounded(decoded: Decoded<unknown>): void {
  if (decoded.kind !== 'bad') return;
  assertSeen(decoded.error.message);
  assert.ok(decoded.error.message.length < 400, decoded.error.message);
}

test('no refusal of a frame quotes what is in it', () => {
  fc.assert(
    fc.property(anyFrame, (value) => {
      const frame = encodeFrame(value);
      for (const decode of [decodeOpen, decodeRequest, decodeAnswer]) assertBounded(decode(frame, 2 ** 20));
    }),
  );
});

test('no refusal of a packet or of a classic message quotes what is in it', () => {
  const packet = fc.record({
    type: fc.oneof(fc.integer({ min: -2, max: 2 }), anyText),
    privPoliId: anyValue,
    payload: anyValue,
    listenport: anyValue,
  });
  fc.assert(
    fc.property(packet, anyText, (value, text) => {
      assertBounded(createPacketDecoder(100_000)(Buffer.from(JSON.stringify(value))));
      assertBounded(decodeClassicSize(Buffer.from(text)));
      assertBounded(decodeClassicRequest(Buffer.from(`x\n${text}\n${text}`), 2 ** 20));
    }),
  );
});

test('a hop or a member that is accepted can be shown', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anyText,
        anyText.map((text) => `${text}:1`),
        anyText.map((text) => `@${text}`),
      ),
      (text) => {
        const parsed = parseHop(text);
        if (parsed.kind !== 'ok') return assertSeen(new HoplineError('ROUTE_SYNTAX', parsed.expected).message);
        const taken: Hop[] = [...hops];
        if (!('pool' in parsed.hop))
          assert.throws(() => noteTaken({ type: 'taken', hop: 1, address: parsed.hop as never }, taken));
        assertSeen(
          refusedError({ type: 'refused', code: 'PEER_UNREACHABLE', hop: 1 }, [parsed.hop, parsed.hop], 'x').message,
        );
      },
    ),
  );
});

test('a refusal is shown in words of our own, whatever the file is called', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(...wireCodes), fc.integer({ min: 1, max: 4 }), (file, code, hop) => {
      assertSeen(refusedError({ type: 'refused', code, hop, reason: 'EACCES' }, hops, file).message);
    }),
  );
});

test('failures, rows and JSON are one line each', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(...errorCodes), (text, code) => {
      assertLines(
        printed(() => say(text)),
        1,
      );
      assertLines(
        printed(() => print(text)),
        1,
      );
      assertLines(formatRows([['label', text]]), 1);
      assertLines(jsonLine({ [text]: text }), 1);
      assertLines(
        printed(() => void reportFailure(new HoplineError(code, text, { problems: [text, text] }))),
        3,
      );
      assertLines(
        printed(() => void reportFailure(new Error(text), process.stdout)),
        1,
      );
    }),
  );
});

test('reports of downloads and uploads show foreign names in one line', () => {
  const result = {
    path: 'x',
    replaced: false,
    alreadyHere: false,
    piecesDigest: null,
    size: 1,
    reservation: 'none',
    verified: true,
    encrypted: false,
    pieces: 1,
    digest: null,
  } as const;
  const more = { resumedBytes: 0, digest: null, wastedBytes: 0, hops, reroutes: 0, elapsedMs: 1 } as const;
  fc.assert(
    fc.property(anyText, (text) => {
      const failure = new HoplineError('PEER_PROTOCOL', text);
      const reroute = { kind: 'reroute', failure, from: hops, to: hops, waitMs: 0 } as const;
      for (const json of [true, false]) {
        let report = createGetReport(route('x'), { quiet: true }, process.stdout);
        let put = createPutReport('x', route('x'), { quiet: true });
        const begun = printed(() => {
          report = createGetReport(route(text), { json }, process.stdout);
          put = createPutReport(text, route(text), { json });
        });
        assertLines(begun, json ? 2 : 0);
        assertLines(
          printed(() => report.event(reroute)),
          1,
        );
        assertLines(
          printed(() =>
            report.done({ ...result, ...more, path: `/${text}`, digest: { algorithm: 'blake3', hex: text } }),
          ),
        );
        assertLines(
          printed(() => put.event(reroute)),
          1,
        );
        assertLines(printed(() => put.done({ ...result, ...more, file: text } as never)));
      }
      const talk = createFilesTalk({ files: 1, where: 'here', formatResult: () => '' });
      assertLines(
        printed(() => talk.event({ kind: 'retry', file: text, piece: 0, attempt: 1, hops } as never)),
        1,
      );
      const scripts = createReport({ json: true }, process.stdout, { text: () => noReport });
      assertLines(
        printed(() => scripts.event({ kind: 'settled', file: text, error: failure })),
        1,
      );
      const fail = () => exitAsDue([{ file: text, error: failure }], {}, 'fetched');
      assertLines(
        printed(() => assert.throws(fail, ExitWith)),
        2,
      );
    }),
  );
});

test('the head of an answer from the web is a line for each field', () => {
  const head = {
    kind: 'head',
    isFinal: true,
    isStreamed: false,
    method: 'GET',
    url: 'http://a/',
    status: 200,
  } as const;
  fc.assert(
    fc.property(anyText, (text) => {
      for (const json of [true, false]) {
        const report = createFetchReport({ include: true, output: 'x', json }, process.stdout, false);
        const shown = printed(() => report.event({ ...head, reason: text, fields: [text, text, 'Server', text] }));
        assertLines(shown, json ? 5 : 4);
        assertLines(
          printed(() =>
            report.done({
              url: text,
              type: text,
              size: 1,
              path: `/${text}`,
              replaced: false,
              resumedBytes: 0,
              digest: null,
              elapsedMs: 1,
              status: 200,
            }),
          ),
        );
      }
      assertSeen(statusError('http://a/', { status: 500, reason: text, fields: [] } as never).message);
    }),
  );
});

test('logs are a line for each entry, whatever is in the fields', async () => {
  const logs = await Promise.all(
    (['text', 'json'] as const).map(async (format) => ({
      format,
      log: (await createLog({ level: 'info', format })).log,
    })),
  );
  const access = (['combined', 'json'] as const).map((format) => createAccessFormat(format));
  const record = {
    time: 0,
    client: '127.0.0.1',
    version: '1.1',
    status: 200,
    bytes: 1,
    totalMs: 1,
    retries: 0,
  } as const;
  fc.assert(
    fc.property(anyText, (text) => {
      for (const { format, log } of logs) {
        const line = printed(() => log.info({ name: text, code: text, list: [text], deep: { [text]: text } }, text));
        assertLines(line, 1);
        if (format === 'json') JSON.parse(line);
      }
      for (const formatted of access) {
        assertLines(
          formatted({ ...record, method: text, target: text, site: text, userAgent: text, referer: text }),
          1,
        );
      }
    }),
  );
});

test('nothing in the program prints but by way of lines, logs and questions', async () => {
  const directory = fileURLToPath(new URL('src/cli/', repository));
  const found = new Set<string>();
  for (const file of await readdir(directory, { recursive: true })) {
    if (!file.endsWith('.ts')) continue;
    const name = path.basename(file);
    const source = await readFile(path.join(directory, file), 'utf8');
    const raw = source.match(/\.write\((?!jsonLine\(|format\w+\()[^\n]*/g) ?? [];
    for (const call of raw) found.add(`${name}: ${call}`);
  }
  const names = [...new Set([...found].map((each) => each.split(':')[0]))].sort();
  assert.deepEqual(
    names,
    [
      'check-command.ts',
      'completion-command.ts',
      'demo-node.ts',
      'exceptions.ts',
      'key-files.ts',
      'key-known.ts',
      'lines.ts',
      'logging.ts',
      'main.ts',
      'node-command.ts',
      'prompt.ts',
      'send-command.ts',
      'send-many.ts',
    ],
    [...found].join('\n'),
  );
});

const evil = '\u001b]0;owned\u0007\nhopline: verified  yes\n\u202e';
const status = { type: 'status', size: 5, version: 'v', pieceBytes: 1024, digest: 'blake3' };

const breaches: readonly (readonly [what: string, answer: Buffer])[] = [
  ['what is no frame', Buffer.from(`${evil} and more of it`)],
  ...['type', 'size', 'pieceBytes', 'digest'].map(
    (key) => [`a status with a hostile ${key}`, encodeFrame({ ...status, [key]: evil })] as const,
  ),
  ['a refusal with a hostile code', encodeFrame({ type: 'refused', hop: 1, code: evil })],
  ['a refusal with a hostile reason', encodeFrame({ type: 'refused', hop: 1, code: 'INTERNAL', reason: evil })],
  ['a hostile member', encodeFrame({ type: 'taken', hop: 1, address: evil })],
  ['the answer to another question', encodeFrame({ type: 'pong', software: evil })],
];

// Side by side, since each waits until a new circuit has met with silence for as long as a hop may be silent.
test('an answer that breaks the protocol, and then silence, is told as the break, in two lines', async (t) => {
  await Promise.all(
    breaches.map(async ([what, answer]) => {
      const out = await makeTempRoot(t);
      let connections = 0;
      const peer = await startPeer(t, (socket) => {
        connections += 1;
        if (connections === 1) socket.once('data', () => socket.write(answer));
      });
      const { code, stderr } = await runProgram(t, ['get', '--via', peer.address, 'x', '-o', `${out.path}/`]);
      assert.equal(code, 5, `${what}: ${stderr}`);
      assertLines(stderr, 2);
      assert.match(stderr, /^hopline: hop 1 \(127\.0\.0\.1:\d+\) broke the protocol: .*\n {2}hint: /, what);
      assert.doesNotMatch(stderr, /verified|no byte moved/, what);
    }),
  );
});

test('a frame from anybody forges no line in the log of a node', async (t) => {
  const root = await makeTempRoot(t);
  for (const more of [[], ['--json']]) {
    const node = startProgram(t, [
      'node',
      '--listen',
      '127.0.0.1:0',
      '--root',
      root.path,
      '--log-level',
      'debug',
      ...more,
    ]);
    const port = Number(/:(\d+)\n/.exec(await node.saw(/listening on .*\n/))?.[1]);
    const trace = '0'.repeat(32);
    const open = { type: 'open', hops: ['a:1'], hop: 1, trace, deadlineMs: 1000 } as const;
    for (const bytes of [
      encodeFrame({ ...open, trace: evil }),
      encodeFrame({ ...open, hops: [evil] }),
      Buffer.concat([encodeFrame(open), encodeFrame({ type: 'stat', name: evil, digests: [evil] })]),
      Buffer.concat([encodeFrame(open), encodeFrame({ type: evil })]),
      Buffer.from(`{"type": 1, "privPoliId": ${JSON.stringify(evil)}, "listenport": ${JSON.stringify(evil)}}`),
      Buffer.from(`${evil}\n${evil}`),
    ]) {
      const socket = net.connect(port, '127.0.0.1').on('error', () => {});
      socket.end(bytes).resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    node.child.kill('SIGTERM');
    const { stderr } = await node.finished;
    assertLines(stderr);
    assert.ok((stderr.match(/PEER_PROTOCOL/g)?.length ?? 0) >= 4, stderr);
    for (const line of stderr.trimEnd().split('\n'))
      assert.match(line, more.length > 0 ? /^\{.*\}$/ : /^\d{4}-\d\d-\d\dT/);
  }
});

test('a name in a listing cannot forge a line either', async (t) => {
  const out = await makeTempRoot(t);
  const top = { kind: 'directory', path: '', mode: 0o755, mtimeNs: '0' };
  const entry = { kind: 'file', path: 'a\u202eb', size: 0, mode: 0o644, mtimeNs: '0' };
  const isDirectory = encodeFrame({ type: 'refused', code: 'FILE_IS_DIRECTORY', hop: 1 });
  const peer = await startPeer(t, (socket) => {
    socket.on('data', (bytes: Buffer) => {
      if (bytes.includes('"list"'))
        socket.write(encodeFrame({ type: 'listing', entries: [top, entry, entry], last: true }));
      else socket.write(isDirectory);
    });
  });
  const { code, stderr, stdout } = await runProgram(t, ['get', '--via', peer.address, 'x', '-o', `${out.path}/`]);
  assert.notEqual(code, 0);
  assertLines(stderr);
  assertLines(stdout);
  assert.match(stderr, /a\\u202eb/);
});
