import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCertificate, noCertificates } from '../../support/certificate.ts';
import { exchangeBytes, hopAt, startTestGateway } from '../../support/http.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('plain HTTP on a port of TLS is answered with a sentence that says so', { skip: noCertificates }, async (t) => {
  const { path } = await makeTempRoot(t);
  const tls = await makeCertificate(path, 'a.test');
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members: [hopAt(9)] } }], tls });
  const text = await exchangeBytes(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(text, /use https:\/\/ in place of http:\/\/\n$/);
});
