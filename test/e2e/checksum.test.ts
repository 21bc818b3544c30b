import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type DownloadEvent, download, type FileDigest } from '../../src/index.ts';
import { availableDigests } from '../../src/io/digests/digest.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const hasBlake = availableDigests().length > 1;
const checked = hasBlake ? (['sha256', 'sha512', 'blake3'] as const) : (['sha256', 'sha512'] as const);

/** As other programs compute it: of the bytes in one go. */
function digestOf(name: FileDigest['algorithm'], bytes: Buffer): FileDigest {
  if (name !== 'blake3') return { algorithm: name, hex: createHash(name).update(bytes).digest('hex') };
  const { blake3 } = createRequire(import.meta.url)('@napi-rs/blake-hash');
  return { algorithm: name, hex: blake3(bytes).toString('hex') };
}

async function start(t: TestContext, bytes: number) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const chain = await startChain(t, 2, root.path);
  const via = chain.nodes.map(addressOf).join(',');
  return { root, out, content, route: chain.route('data.bin'), here: path.join(out.path, 'data.bin'), via, chain };
}

for (const bytes of [0, 1000, mib, 5 * mib + 7]) {
  test(`the digest of ${bytes} bytes is the one that other programs have, fetched or here already`, async (t) => {
    const { content, route, here } = await start(t, bytes);
    for (const alreadyHere of [false, true]) {
      const result = await download({ route, output: here });
      assert.equal(result.alreadyHere, alreadyHere);
      // Without the native library a large file's own digest would cost as much as all else.
      if (!hasBlake && bytes > mib) assert.equal(result.digest, null);
      else assert.deepEqual(result.digest, digestOf(hasBlake ? 'blake3' : 'sha256', content));
    }
  });
}

test('a digest that nobody wants is not computed, and one that is expected is', async (t) => {
  const { content, route, here } = await start(t, 2 * mib);
  const options = { route, output: here, digest: false };
  assert.equal((await download(options)).digest, null);
  const checksum = digestOf('sha256', content);
  assert.deepEqual((await download({ ...options, checksum, force: true })).digest, checksum);
});

for (const algorithm of checked) {
  for (const parallel of [1, 3]) {
    test(`a file with the right ${algorithm} gets its name, a wrong one does not; ${parallel} at once`, async (t) => {
      const { content, route, here, out } = await start(t, 9 * mib + 1);
      const right = digestOf(algorithm, content);
      const wrong = digestOf(algorithm, Buffer.from('another'));
      const events: DownloadEvent[] = [];
      const onEvent = (event: DownloadEvent) => events.push(event);
      const options = { route, output: here, parallel };
      const refused = { code: 'HASH_MISMATCH', message: new RegExp(`has ${algorithm} ${right.hex}, not ${wrong.hex}`) };
      await assert.rejects(download({ ...options, checksum: wrong, onEvent }), refused);
      await assert.rejects(stat(here), { code: 'ENOENT' });
      assert.deepEqual(events.at(-1), { kind: 'kept', bytes: content.length, size: content.length });
      const result = await download({ ...options, checksum: right });
      assert.deepEqual([result.digest, result.resumedBytes], [right, content.length]);
      assert.ok((await readFile(here)).equals(content));
      assert.deepEqual(await out.list(), ['data.bin']);
      await assert.rejects(download({ ...options, checksum: wrong }), refused);
      assert.deepEqual((await download({ ...options, checksum: right })).digest, right);
    });
  }
}

test('a download that goes on knows the digest of the file too, unless what is here was damaged', {
  skip: !hasBlake,
}, async (t) => {
  const { content, route, here } = await start(t, 9 * mib + 1);
  for (const damaged of [false, true]) {
    const stop = new AbortController();
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'progress' && event.bytes > 5 * mib) stop.abort();
    };
    const limits = { maxBlockBytes: 65_536 };
    const first = download({ route, output: here, signal: stop.signal, onEvent, limits, limitRate: 32 * mib });
    await assert.rejects(first, { code: 'INTERRUPTED' });
    const part = path.join(path.dirname(here), '.data.bin.part');
    if (damaged) {
      const bytes = await readFile(part);
      bytes[mib + 1] = (bytes[mib + 1] ?? 0) ^ 1;
      await writeFile(part, bytes);
    }
    const result = await download({ route, output: here });
    assert.ok(result.resumedBytes > 0);
    assert.ok((await readFile(here)).equals(content));
    // A piece that comes where others are already is out of order.
    assert.deepEqual(result.digest, damaged ? null : digestOf('blake3', content));
    await unlink(here);
  }
});

test('to a stream, and in the classic dialect, the checksum is compared at the end', async (t) => {
  const { content, route, here } = await start(t, 3 * mib);
  const right = digestOf('sha256', content);
  const wrong = digestOf('sha256', Buffer.from('another'));
  const toStream = (checksum: FileDigest, parallel: number) => {
    const output = new Writable({ write: (_bytes, _encoding, done) => done() });
    return download({ route, output, checksum, parallel });
  };
  for (const parallel of [1, 3]) {
    assert.deepEqual((await toStream(right, parallel)).digest, right);
    await assert.rejects(toStream(wrong, parallel), { code: 'HASH_MISMATCH' });
  }
  const classic = { route, output: here, classic: true };
  await assert.rejects(download({ ...classic, checksum: wrong }), { code: 'HASH_MISMATCH' });
  await assert.rejects(stat(here), { code: 'ENOENT' });
  assert.deepEqual((await download({ ...classic, checksum: right })).digest, right);
});

test('get --checksum ends with 7 and leaves an earlier file alone, also with --force', async (t) => {
  const { content, here, out, via } = await start(t, 2 * mib);
  const get = (...more: string[]) => runProgram(t, ['get', '--via', via, 'data.bin', ...more], { cwd: out.path });
  await writeFile(here, 'mine');
  const wrong = `sha256:${'0'.repeat(64)}`;
  const refused = await get('--checksum', wrong, '--force');
  assert.equal(refused.code, 7);
  assert.match(refused.stderr, /^kept all 2\.0 MiB; another run fetches none of it again$/m);
  assert.match(refused.stderr, /hopline: the file has sha256 [0-9a-f]{64}, not 0{64} as --checksum says\n/);
  assert.equal(await readFile(here, 'utf8'), 'mine');
  const { hex } = digestOf('sha512', content);
  const right = await get('--checksum', `SHA512:${hex.toUpperCase()}`, '--force');
  assert.equal(right.code, 0, right.stderr);
  assert.ok(right.stdout.includes(`\ndigest    sha512 ${hex}\n`));
  for (const bad of ['md5:00', 'sha256:00', 'sha256', `sha256:${'g'.repeat(64)}`]) {
    assert.equal((await get('--checksum', bad)).code, 2);
  }
  assert.equal((await get('other.bin', '--checksum', wrong)).code, 2);
});
