import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { HoplineError } from '../../../src/core/errors.ts';
import { loadKoffi } from '../../../src/io/kernel/libc.ts';
import { nodeAead, openBox } from '../../../src/secure/records/aead.ts';
import { chooseAead, loadOpenSsl, type OpenSsl, opensslAead } from '../../../src/secure/records/openssl.ts';
import { makeCertificate, noCertificates } from '../../support/certificate.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { sealed, testAead } from './aead.contract.ts';

/** The calls of OpenSSL, or nothing where koffi does not load. Throws where Node does not export them any more. */
function openOpenSsl(): OpenSsl | undefined {
  try {
    loadKoffi();
  } catch {
    return undefined;
  }
  return loadOpenSsl();
}

const ssl = openOpenSsl();
const skip = ssl === undefined && 'koffi does not load here';

testAead(nodeAead, nodeAead);
if (ssl) {
  testAead(opensslAead(ssl), nodeAead);
  testAead(nodeAead, opensslAead(ssl));
}

test('the way in place is chosen where it works, the other one where it is asked for', { skip }, () => {
  assert.equal(chooseAead().name, 'openssl');
  assert.equal(chooseAead('openssl').name, 'openssl');
  assert.equal(chooseAead('node').name, 'node');
});

const calls = [
  'encryptInit',
  'encryptUpdate',
  'encryptFinal',
  'decryptInit',
  'decryptUpdate',
  'decryptFinal',
  'control',
] as const;

test('whichever call of OpenSSL fails, no content is left, and no error in its queue', { skip }, () => {
  assert.ok(ssl);
  const header = Buffer.alloc(8, 1);
  const key = Buffer.alloc(32, 2);
  for (const failing of calls) {
    // The call is made all the same, so that what it wrote is there to be found.
    const broken: OpenSsl = {
      ...ssl,
      [failing]: (...parameters: never[]) => {
        (ssl[failing] as (...parameters: never[]) => number)(...parameters);
        // A cipher that is none: an error that stays in the queue.
        ssl.encryptInit(ssl.newContext(), null, null, key, key);
        return 0;
      },
    };
    const aead = opensslAead(broken);
    const box = Buffer.alloc(116, 0xaa);
    const given = nodeAead;
    if (failing !== 'control' && failing.startsWith('decrypt')) {
      given.seal(key, 1n, header, [Buffer.alloc(100, 5)], box);
      let isOpen = false;
      try {
        isOpen = openBox(aead, key, 1n, header, box);
      } catch (error) {
        assert.ok(error instanceof HoplineError && error.code === 'SECURE_FAILED');
      }
      assert.equal(isOpen, false, failing);
    } else {
      assert.throws(
        () => aead.seal(key, 1n, header, [Buffer.alloc(100, 5)], box),
        (error) => error instanceof HoplineError && error.code === 'SECURE_FAILED',
      );
    }
    assert.ok(
      box.every((byte) => byte === 0),
      failing,
    );
    assert.equal(Number(ssl.peekError()), 0, failing);
  }
});

test('a call that says it wrote less than it should have is a failure', { skip }, () => {
  assert.ok(ssl);
  const short: OpenSsl = {
    ...ssl,
    encryptUpdate: (context, out, written, from, length) => {
      const result = ssl.encryptUpdate(context, out, written, from, length);
      if (out) written[0] = length - 1;
      return result;
    },
  };
  const box = Buffer.alloc(32, 0xaa);
  assert.throws(
    () => opensslAead(short).seal(Buffer.alloc(32), 0n, Buffer.alloc(8), [Buffer.alloc(16, 9)], box),
    HoplineError,
  );
  assert.deepEqual(box, Buffer.alloc(32));
});

test('a wrong tag leaves no error in the queue of OpenSSL', { skip }, () => {
  assert.ok(ssl);
  const aead = opensslAead(ssl);
  const box = sealed(aead, randomBytes(1000));
  assert.equal(openBox(aead, randomBytes(32), 3n, Buffer.alloc(8), box), false);
  assert.equal(Number(ssl.peekError()), 0);
});

test('records that fail leave a TLS connection of the same process alone', {
  skip: skip || noCertificates,
}, async (t) => {
  assert.ok(ssl);
  const { cert, key } = await makeCertificate((await makeTempRoot(t)).path, 'localhost');
  const server = tls.createServer({ cert, key }, (socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' });
  t.after(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, 'secureConnect');
  const aead = opensslAead(ssl);
  for (let count = 0; count < 20; count += 1) {
    assert.equal(openBox(aead, randomBytes(32), 3n, Buffer.alloc(8), sealed(aead, randomBytes(1000))), false);
    socket.write(String(count));
    const [echoed] = await once(socket, 'data');
    assert.equal(String(echoed), String(count));
  }
});
