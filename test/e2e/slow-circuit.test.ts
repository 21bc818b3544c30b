import assert from 'node:assert/strict';
import net from 'node:net';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { download, downloadFiles, HoplineError, parseVia } from '../../src/index.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { advanceUntil, FakeClock } from '../support/legs.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const kib = 1024;
const burst = 16 * kib;
/** The first failure is the last, and leaves nothing. */
const once = { retry: 0, resume: false };

function collect() {
  const parts: Buffer[] = [];
  const output = new Writable({ write: (bytes: Buffer, _encoding, done) => done(void parts.push(Buffer.from(bytes))) });
  return { output, bytes: () => Buffer.concat(parts) };
}

/** A chain whose origin has `data.bin`. */
async function startWith(t: TestContext, bytes: number, options: Parameters<typeof startChain>[3] = {}) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const chain = await startChain(t, 2, root.path, options);
  return { root, content, chain, route: chain.route('data.bin') };
}

/** Passes TCP bytes on to `port` and back as `change` says; what breaks on one side breaks on the other. */
async function startTap(t: TestContext, port: number, change: (bytes: Buffer) => Buffer) {
  const forward: Buffer[] = [];
  const { address } = await startPeer(t, (near) => {
    const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    far.on('error', () => near.resetAndDestroy()).on('end', () => near.end());
    near.on('error', () => far.resetAndDestroy());
    near.on('end', () => {
      const late = change(Buffer.alloc(0));
      const passOn = (gone: unknown) => gone || far.end();
      if (late.length > 0) {
        // What was held back comes when the client is about to go. Whether it has gone already, the second write hears.
        near.write(late.subarray(0, 1));
        setTimeout(() => near.write(late.subarray(1), passOn), 50);
      } else passOn(undefined);
    });
    near.on('data', (bytes: Buffer) => {
      forward.push(bytes);
      far.write(bytes);
    });
    far.on('data', (bytes: Buffer) => near.write(change(bytes)));
    t.after(() => far.destroy());
  });
  return { address, forward: () => Buffer.concat(forward).toString('latin1') };
}

for (const parallel of [1, 3]) {
  test(`a download over ${parallel} at once keeps to its rate, and its content is right`, async (t) => {
    const bytes = 3 * kib * kib;
    const { content, route } = await startWith(t, bytes);
    const clock = new FakeClock();
    const limitRate = 1000 * kib;
    const { output, bytes: received } = collect();
    await advanceUntil(clock, download({ route, output, clock, limitRate, minRate: limitRate, parallel }));
    assert.ok(received().equals(content));
    const due = ((bytes - limitRate / 10) / limitRate) * 1000;
    assert.ok(clock.now() >= due - 20, `${clock.now()} of ${due} ms`);
  });
}

test('several files and the classic dialect keep to the rate too', async (t) => {
  const bytes = 300 * kib;
  const { root, content, route } = await startWith(t, bytes);
  await root.writeRandom('more.bin', bytes);
  const out = await makeTempRoot(t);
  const limitRate = 100 * kib;
  for (const classic of [true, false]) {
    const clock = new FakeClock();
    const { output, bytes: received } = collect();
    const limits = { quietMs: 1 };
    const work = classic
      ? download({ route, output, clock, limitRate, classic, limits })
      : downloadFiles({ ...route, files: ['data.bin', 'more.bin'], output: out.path, clock, limitRate });
    await advanceUntil(clock, work);
    if (classic) assert.ok(received().equals(content));
    const due = (((classic ? bytes : 2 * bytes) - burst) / limitRate) * 1000;
    assert.ok(clock.now() >= due - 20, `${clock.now()} of ${due} ms`);
  }
  assert.deepEqual(await out.list(), ['data.bin', 'more.bin']);
});

test('a client that receives slowly shows that it is there, and no node gives it up', async (t) => {
  const { content, chain } = await startWith(t, 300 * kib);
  const [relay, origin] = chain.nodes;
  assert.ok(relay && origin);
  const held: Buffer[] = [];
  const holdPongs = (bytes: Buffer) => {
    if (bytes.length === 0) return Buffer.concat(held.splice(0));
    if (!bytes.includes('"type":"pong"')) return bytes;
    held.push(bytes);
    return Buffer.alloc(0);
  };
  const tap = await startTap(t, relay.address.port, holdPongs);
  const clock = new FakeClock();
  const { output, bytes } = collect();
  const route = parseVia(`${tap.address},${addressOf(origin)}`, 'data.bin');
  const limits = { pulseMs: 500 };
  await advanceUntil(clock, download({ route, output, clock, limitRate: 100 * kib, limits, ...once }));
  assert.ok(bytes().equals(content));
  const pulses = tap.forward().split('"type":"ping"').length - 1;
  assert.ok(pulses >= 4 && pulses <= clock.now() / 500, `${pulses} in ${clock.now()} ms`);
  await until(() => relay.stats().open === 0 && origin.stats().open === 0);
  assert.deepEqual([relay.stats().failures, origin.stats().failures], [{}, {}]);
});

test('content that stops coming is given up long before the leg is', async (t) => {
  const { chain } = await startWith(t, 500 * kib);
  let left = 100 * kib;
  const cut = (bytes: Buffer) => {
    const passed = bytes.subarray(0, Math.max(0, left));
    left -= bytes.length;
    return passed;
  };
  const tap = await startTap(t, chain.nodes[1]?.address.port ?? 0, cut);
  const limits = { stallMs: 200, probeMs: 500 };
  const { output } = collect();
  const pending = download({ route: parseVia(tap.address, 'data.bin'), output, limits, ...once });
  const failure = await pending.catch((error: unknown) => error);
  assert.ok(failure instanceof HoplineError);
  assert.equal(failure.code, 'TIMEOUT_IDLE');
  // The tap lets nothing pass any more, so that the leg to it is found at fault.
  assert.match(failure.message, /^the circuit stalled at leg 1, /);
  assert.match((failure.cause as Error).message, /^hop 1 .* brought nothing for 0\.2 s$/);
});

for (const classic of [false, true]) {
  test(`a circuit below the least rate is given up${classic ? ', in the classic dialect too' : ''}`, async (t) => {
    const { route, chain } = await startWith(t, 500 * kib, { limitRate: 20 * kib });
    const limits = { minRateMs: 300 };
    const { output } = collect();
    const pending = download({ route, output, limits, minRate: 200 * kib, classic, ...once });
    await assert.rejects(pending, { code: 'TIMEOUT_SLOW', message: /bytes a second over .* s, less than the 204800/ });
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
  });
}

test('a least rate above the limit, and what is no rate, are usage errors', async (t) => {
  const { route } = await startWith(t, 1);
  for (const rates of [{ limitRate: 2048, minRate: 2049 }, { limitRate: 5 }, { minRate: Number.NaN }]) {
    await assert.rejects(download({ route, output: collect().output, ...rates }), { code: 'USAGE_INVALID' });
  }
});
