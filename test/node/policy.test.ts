import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNextPolicy, parseNextRules } from '../../src/node/policy.ts';
import { type Port, parseAddress } from '../../src/wire/address.ts';

/** Whether a node listening on `listen` with `rules` may dial `address` for a hop called `host`. */
function mayDial(rules: string[], address: string, port = 80, host = address, listen = '10.9.9.9'): boolean {
  const policy = createNextPolicy(parseNextRules(rules), listen);
  try {
    policy({ host, port: port as Port }, address);
    return true;
  } catch (error) {
    assert.equal((error as { code: string }).code, 'POLICY_DENIED');
    return false;
  }
}

test('a node on loopback may go on to loopback and nowhere else', () => {
  for (const listen of ['127.0.0.1', '127.9.9.9', '::1']) {
    for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
      assert.equal(mayDial([], address, 80, address, listen), true, address);
    }
    for (const address of ['10.0.0.1', '0.0.0.0', '::', '169.254.169.254']) {
      assert.equal(mayDial([], address, 80, address, listen), false, address);
    }
  }
});

test('any other node goes nowhere until a rule allows it', () => {
  for (const listen of ['0.0.0.0', '::', '10.0.0.1']) {
    assert.equal(mayDial([], '127.0.0.1', 80, 'localhost', listen), false);
    assert.equal(mayDial([], '10.0.0.1', 80, '10.0.0.1', listen), false);
  }
});

const allowed: [rule: string, yes: string[], no: string[]][] = [
  ['10.0.0.0/8', ['10.0.0.1', '10.255.255.255', '::ffff:10.1.1.1', '::ffff:a01:101'], ['11.0.0.1', '::1']],
  ['192.168.1.7', ['192.168.1.7', '::ffff:192.168.1.7'], ['192.168.1.8']],
  ['::ffff:10.0.0.1', ['10.0.0.1', '::ffff:10.0.0.1'], ['10.0.0.2']],
  ['2001:db8::/32', ['2001:db8:1::1'], ['2001:db9::1', '10.0.0.1']],
  ['[2001:db8::1]', ['2001:db8::1'], ['2001:db8::2']],
  ['0.0.0.0/0', ['1.2.3.4', '169.254.1.1'], ['2001:db8::1']],
  [
    'any',
    ['127.0.0.1', '10.0.0.1', '2001:db8::1', '::1', '::ffff:10.0.0.1'],
    [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '0.0.0.0',
      '::',
      '::ffff:0.0.0.0',
      '224.0.0.1',
    ].concat(['255.255.255.255', 'fe80::1', 'fe80::1%eth0', 'ff02::1', '::ffff:224.0.0.1']),
  ],
];
for (const [rule, yes, no] of allowed) {
  test(`the rule ${rule} allows ${yes[0]} and not ${no[0]}`, () => {
    for (const address of yes) assert.equal(mayDial([rule], address), true, address);
    for (const address of no) assert.equal(mayDial([rule], address), false, address);
  });
}

test('a link-local address is allowed where a rule names it', () => {
  assert.equal(mayDial(['any', '169.254.0.0/16'], '169.254.169.254'), true);
});

test('a host name allows the hop of that name, in any case, whatever its address', () => {
  assert.equal(mayDial(['Origin.example'], '10.0.0.1', 80, 'oRIGIN.example'), true);
  assert.equal(mayDial(['origin.example'], '10.0.0.1'), false);
  assert.equal(mayDial(['origin.example'], '10.0.0.1', 80, 'evil.origin.example'), false);
});

test('an address rule judges the address that is dialled, not the name that was asked for', () => {
  assert.equal(mayDial(['10.0.0.1'], '192.168.0.1', 80, '10.0.0.1'), false);
  assert.equal(mayDial(['10.0.0.1'], '10.0.0.1', 80, 'some.name'), true);
});

test('a rule with a port or a range allows those ports alone', () => {
  const ports = (rule: string) => [6999, 7000, 7001, 7010, 7011].filter((port) => mayDial([rule], '10.0.0.1', port));
  assert.deepEqual(ports('10.0.0.1:7000'), [7000]);
  assert.deepEqual(ports('10.0.0.0/8:7000-7010'), [7000, 7001, 7010]);
  assert.deepEqual(ports('any:7001-7001'), [7001]);
  assert.equal(mayDial(['[2001:db8::1]:80'], '2001:db8::1', 80), true);
  assert.equal(mayDial(['[2001:db8::1]:80'], '2001:db8::1', 81), false);
  assert.equal(mayDial(['[2001:db8::/32]:80'], '2001:db8::9', 80), true);
});

test('one of several rules is enough', () => {
  assert.equal(mayDial(['10.0.0.1', '10.0.0.2:80'], '10.0.0.2'), true);
});

test('a denial names the address and the port that were denied', () => {
  const parsed = parseAddress('origin.example 80');
  assert.ok(parsed.kind === 'ok');
  assert.throws(() => createNextPolicy([], '0.0.0.0')(parsed.hop, '10.0.0.1'), {
    code: 'POLICY_DENIED',
    message: 'no --next rule allows 10.0.0.1:80',
  });
});

const malformed = ['', ':', 'any:', 'any:0', 'any:70000', 'any:80-', 'any:-80', 'any:90-80', 'any:1-2-3', 'any:http']
  .concat(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/0x8', '2001:db8::/129', '[::1', '[]'])
  .concat(['-host', 'host/8', 'ho st', 'hôte', '*', '*.example', 'http://host', '[::1]80', '10.0.0/8', 'a,b']);
for (const rule of malformed) {
  test(`${JSON.stringify(rule)} is not a rule`, () => {
    assert.throws(
      () => parseNextRules(['any', rule]),
      (error: { code?: string; message?: string }) => {
        assert.equal(error.code, 'USAGE_INVALID');
        assert.ok(error.message?.startsWith(`--next: read "${rule}", expected any, a CIDR`));
        return true;
      },
    );
  });
}
