import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHttpUrl } from '../../src/http/http-url.ts';

test('a URL is taken apart, and user and password leave it', () => {
  const url = parseHttpUrl('HTTP://us%20er:p%C3%A4ss@Www.Example.ORG:80/a%20b/c.txt?x=1#y');
  assert.deepEqual(url, {
    scheme: 'http',
    host: 'www.example.org',
    port: 80,
    authority: 'www.example.org',
    target: '/a%20b/c.txt?x=1',
    href: 'http://www.example.org/a%20b/c.txt?x=1',
    authorization: `Basic ${Buffer.from('us er:päss').toString('base64')}`,
    name: 'c.txt',
  });
});

test('a scheme may be missing, ports and IPv6 addresses are understood', () => {
  assert.equal(parseHttpUrl('localhost:8080/x').href, 'http://localhost:8080/x');
  assert.equal(parseHttpUrl('https://a.example').port, 443);
  const { host, port, authority } = parseHttpUrl('http://[::1]:81/');
  assert.deepEqual([host, port, authority], ['::1', 81, '[::1]:81']);
});

test('the name of a file from there never leaves its directory', () => {
  const names = [
    ['http://a/', 'index.html'],
    ['http://a/dir/', 'index.html'],
    ['http://a/..%2f..%2fetc%2fpasswd', '.._.._etc_passwd'],
    ['http://a/%2e%2e', 'index.html'],
    ['http://a/x%00y%0a', 'x_y_'],
    ['http://a/%ff', '%ff'],
    ['http://a/C:%5Cx', 'C__x'],
    ['http://a/na%C3%AFve.txt?x=/y', 'naïve.txt'],
    [`http://a/${'x'.repeat(255)}`, 'x'.repeat(255)],
    [`http://a/${'x'.repeat(300)}.tar.gz`, `${'x'.repeat(248)}.tar.gz`],
    [`http://a/${'x'.repeat(300)}`, 'x'.repeat(255)],
    [`http://a/${'%C3%AF'.repeat(200)}.txt`, `${'ï'.repeat(125)}.txt`],
  ] as const;
  for (const [url, name] of names) assert.equal(parseHttpUrl(url).name, name, url);
});

test('what is no URL with http or https is refused without being repeated', () => {
  for (const text of ['', 'ftp://a/', 'http://', 'http://u:secret@a:99999/', 'http://a:0/', 'mailto://x']) {
    assert.throws(() => parseHttpUrl(text), { code: 'USAGE_INVALID', message: /^expected a / }, text);
  }
});
