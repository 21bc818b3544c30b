import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../../src/core/log.ts';
import { judgeTime, readCertificate, watchTime } from '../../../src/gateway/clients/certificate.ts';
import { startService } from '../../../src/index.ts';
import { type Certificate, makeCertificate, noCertificates } from '../../support/certificate.ts';
import { startTestGateway } from '../../support/http.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const dayMs = 24 * 60 * 60 * 1000;
const options = { skip: noCertificates };

async function makePair(t: TestContext, kind?: 'ec' | 'rsa'): Promise<Certificate> {
  return makeCertificate((await makeTempRoot(t)).path, 'a.test', kind);
}

for (const [certKind, keyKind] of [
  ['rsa', 'ec'],
  ['ec', 'rsa'],
  ['ec', 'ec'],
  ['rsa', 'rsa'],
] as const) {
  test(`refuses a certificate for ${certKind} beside another key of ${keyKind}`, options, async (t) => {
    const [{ cert }, { key }] = [await makePair(t, certKind), await makePair(t, keyKind)];
    assert.throws(() => readCertificate({ cert, key }), { code: 'USAGE_INVALID', message: /together|cannot be used/ });
  });
}

test('says which of the two is none', options, async (t) => {
  const { cert, key } = await makePair(t);
  const refused = (tls: Parameters<typeof readCertificate>[0], message: RegExp) =>
    assert.throws(() => readCertificate(tls), { code: 'USAGE_INVALID', message });
  refused({ cert: key, key }, /as the certificate is none in PEM/);
  refused({ cert: 'text', key }, /as the certificate is none in PEM/);
  refused({ cert, key: cert }, /as its key is none in PEM/);
  refused({ cert, key: '' }, /as its key is none in PEM/);
});

test('takes a certificate with its key, and with others behind it', options, async (t) => {
  const [own, other] = [await makePair(t, 'rsa'), await makePair(t)];
  const read = readCertificate({ cert: own.cert + other.cert, key: own.key });
  assert.equal(read.fingerprint256, new X509Certificate(own.cert).fingerprint256);
});

test('judges a certificate by its first and its last day, and warns two weeks before that', options, async (t) => {
  const certificate = new X509Certificate((await makePair(t)).cert);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  assert.match(judgeTime(certificate, from - 1) ?? '', /^the certificate is not valid before \d{4}-\d\d-\d\d$/);
  assert.match(judgeTime(certificate, from) ?? '', /^the certificate expires on \d{4}-\d\d-\d\d$/);
  assert.match(judgeTime(certificate, to + 1) ?? '', /^the certificate expired on \d{4}-\d\d-\d\d$/);
  const long = { ...{ validFrom: certificate.validFrom }, validTo: new Date(from + 100 * dayMs).toUTCString() };
  assert.equal(judgeTime(long as X509Certificate, from + 86 * dayMs), undefined);
  assert.match(judgeTime(long as X509Certificate, from + 86 * dayMs + 1) ?? '', /expires/);
});

test('warns once when it is told to watch, and then each day until it is told to end', options, async (t) => {
  const certificate = new X509Certificate((await makePair(t)).cert);
  const warnings: string[] = [];
  let next = () => {};
  let waits: number | undefined;
  const clock = {
    now: () => 0,
    after: (ms: number, action: () => void) => {
      [waits, next] = [ms, action];
      return () => {
        waits = undefined;
      };
    },
  };
  let now = Date.parse(certificate.validFrom);
  const log = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message.slice(0, 24)) };
  const end = watchTime(certificate, { log, clock, now: () => now });
  assert.equal(waits, dayMs);
  now = Date.parse(certificate.validTo) + 1;
  next();
  assert.deepEqual(warnings, ['the certificate expires ', 'the certificate expired ']);
  assert.equal(waits, dayMs);
  end();
  assert.equal(waits, undefined);
});

/** Sends `bytes`, one at a time, and settles when the other side has had enough. */
async function trickle(t: TestContext, port: number, bytes: Buffer): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {}).resume();
  let at = 0;
  const timer = setInterval(() => at < bytes.length && socket.write(bytes.subarray(at, ++at)), 10);
  // It may be reset in the middle of what is still being sent.
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
}

/** The beginning of a ClientHello that says it is long. */
const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3]), Buffer.alloc(10_000)]);

test('ends a handshake that stalls or trickles, on its own port and on a node’s', options, async (t) => {
  const { cert, key, certFile, keyFile } = await makePair(t);
  const limits = { headMs: 300 };
  const gateway = await startTestGateway(t, { sites: [], tls: { cert, key }, limits });
  const listen = { host: '127.0.0.1', port: 0 };
  const config = {
    node: { listen, limits },
    gateway: { sites: [], tls: { cert: certFile, key: keyFile } },
    log: { level: 'info', format: 'text' },
  } as const;
  const service = await startService(config, { log: silentLogger });
  t.after(() => service.close({ graceMs: 0 }));
  for (const port of [gateway.port, service.node?.address.port ?? 0]) {
    await Promise.all([trickle(t, port, hello), trickle(t, port, hello.subarray(0, 20))]);
  }
});
