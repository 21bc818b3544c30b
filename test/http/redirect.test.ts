import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoplineError } from '../../src/core/errors.ts';
import { parseHttpUrl } from '../../src/http/http-url.ts';
import { followRedirect, isRedirect } from '../../src/http/redirect.ts';

const fields = ['Authorization', 'secret', 'Cookie', 'a=1', 'Content-Type', 'text/plain', 'Accept', 'text/html'];

function follow(method: string, status: number, location: string, from = 'http://u:p@a.example/dir/file') {
  const asked = { method, url: parseHttpUrl(from), fields, hasBody: method !== 'GET' };
  return followRedirect(asked, status, ['Location', location]);
}

test('the method and the content of the next request are those of RFC 9110, 15.4', () => {
  const table = [
    ['POST', 301, 'GET'],
    ['POST', 302, 'GET'],
    ['POST', 303, 'GET'],
    ['POST', 307, 'POST'],
    ['POST', 308, 'POST'],
    ['PUT', 301, 'PUT'],
    ['PUT', 302, 'PUT'],
    ['PUT', 303, 'GET'],
    ['PUT', 307, 'PUT'],
    ['DELETE', 303, 'GET'],
    ['GET', 302, 'GET'],
    ['HEAD', 303, 'HEAD'],
  ] as const;
  for (const [method, status, expected] of table) {
    const next = follow(method, status, '/other');
    assert.equal(next.method, expected, `${method} ${status}`);
    const keepsBody = method !== 'GET' && expected === method;
    assert.equal(next.hasBody, keepsBody, `${method} ${status}`);
    const hasType = next.fields.includes('Content-Type');
    assert.equal(hasType, expected === method, `${method} ${status}`);
  }
});

test('a place is relative to the one before, and credentials stay with their origin', () => {
  const same = follow('GET', 302, '../up?q=1#part');
  assert.equal(same.url.href, 'http://a.example/up?q=1');
  assert.equal(same.url.authorization, 'Basic dTpw');
  assert.deepEqual(same.fields, fields);
  for (const elsewhere of ['http://b.example/', 'https://a.example/', 'http://a.example:8080/', '//b.example/']) {
    const other = follow('GET', 302, elsewhere);
    assert.equal(other.url.authorization, undefined, elsewhere);
    assert.deepEqual(other.fields, ['Content-Type', 'text/plain', 'Accept', 'text/html'], elsewhere);
  }
  assert.equal(follow('GET', 302, 'http://x:y@b.example/').url.authorization, undefined);
});

test('no redirect leads from https to http, or to what is neither', () => {
  const isRefused = (error: unknown) => error instanceof HoplineError && error.code === 'HTTP_REDIRECT';
  assert.throws(() => follow('GET', 302, 'http://a.example/', 'https://a.example/'), isRefused);
  for (const location of ['ftp://a.example/', 'file:///etc/passwd', 'http://', 'http://a.example:99999/']) {
    assert.throws(() => follow('GET', 302, location), isRefused, location);
  }
});

test('a redirect without a place, and other statuses of 300 on, are answers', () => {
  assert.equal(isRedirect(302, []), false);
  assert.equal(isRedirect(304, ['Location', '/']), false);
  assert.equal(isRedirect(300, ['Location', '/']), false);
  assert.equal(isRedirect(308, ['location', '/']), true);
});
