import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/core/log.ts';
import { createNextAccess, parseNextRules, tellBroadRules } from '../../../src/node/access/access-rules.ts';
import { type Port, parseAddress } from '../../../src/wire/address.ts';

/** Whether a node listening on `listen` with `rules` may dial `address` for a hop called `host`. */
function mayDial(rules: string[], address: string, port = 80, host = address, listen = '10.9.9.9'): boolean {
  const access = createNextAccess(parseNextRules(rules), listen);
  try {
    access.mayDial({ host, port: port as Port }, address);
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
    ].concat(
      ['255.255.255.255', 'fe80::1', 'fe80::1%eth0', 'ff02::1', '::ffff:224.0.0.1', '240.0.0.1', 'fec0::1', 'feff::1'],
      [
        '100.100.100.200',
        '168.63.129.16',
        '192.0.0.192',
        '192.0.0.1',
        'fd00:ec2::254',
        'fd20:ce::254',
        'fd20:ce:0::254',
      ],
      ['::ffff:100.100.100.200', '::ffff:a83f:8110', '::ffff:c000:c0'],
      // IPv4 as IPv6, in each form there is.
      ['::169.254.169.254', '::a9fe:a9fe', '64:ff9b::169.254.169.254', '64:ff9b::a9fe:a9fe', '64:ff9b:1::a9fe:a9fe'],
      ['2002:a9fe:a9fe::1', '::ffff:0:169.254.169.254', '2001:0:a9fe:a9fe::1', '::100.100.100.200'],
    ),
  ],
  ['any', ['100.100.100.199', '100.64.0.1', '168.63.129.17', '192.0.1.0', '192.0.2.1'], ['::2']],
  ['any', ['fd00:ec2::253', 'fc00::1', '2001:1::1', '2003::1', '64:ff9b:2::1', '223.255.255.255'], ['::7f00:1']],
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

/** Whether a node listening on `listen` with `rules` looks `host` up. */
function looksUp(rules: string[], host: string, port = 80, listen = '10.9.9.9'): boolean {
  try {
    createNextAccess(parseNextRules(rules), listen).mayLookUp({ host, port: port as Port });
    return true;
  } catch (error) {
    assert.equal((error as { code: string }).code, 'POLICY_DENIED');
    return false;
  }
}

test('a name is looked up only if a rule names it, or a network may have its address', () => {
  assert.equal(looksUp([], 'some.name'), false);
  assert.equal(looksUp(['origin.example', '10.0.0.1', '[2001:db8::1]:80', '10.0.0.2/32'], 'some.name'), false);
  assert.equal(looksUp(['origin.example', '10.0.0.1'], 'ORIGIN.example'), true);
  assert.equal(looksUp(['origin.example:81'], 'origin.example'), false);
  for (const rule of ['any', '10.0.0.0/8', '10.0.0.0/31:80', '[2001:db8::/32]:80']) {
    assert.equal(looksUp([rule], 'some.name'), true, rule);
  }
  assert.equal(looksUp(['any:81', '10.0.0.0/8:1-79'], 'some.name'), false);
});

test('a node on loopback looks up what may lead to loopback, and where rules name all, local names alone', () => {
  assert.equal(looksUp([], 'some.name', 80, '127.0.0.1'), true);
  assert.equal(looksUp(['origin.example'], 'some.name', 80, '127.0.0.1'), false);
  for (const host of ['localhost', 'a.LOCALHOST', 'localhost.']) {
    assert.equal(looksUp(['origin.example'], host, 80, '127.0.0.1'), true, host);
    assert.equal(looksUp(['origin.example'], host, 80, '10.0.0.1'), false, host);
  }
  assert.equal(looksUp(['origin.example'], 'notlocalhost', 80, '127.0.0.1'), false);
});

test('a node on loopback that has rules is told that they take nothing on loopback away', () => {
  const told = (rules: readonly string[], listen: string) => {
    const lines: string[] = [];
    const info = (_fields: object, message: string) => void lines.push(message);
    tellBroadRules(parseNextRules(rules), listen, { ...silentLogger, info });
    return lines;
  };
  assert.deepEqual(told(['127.0.0.1:9'], '127.0.0.1'), [
    'a node on loopback may go on to all of loopback, whatever --next says: rules only add to that',
  ]);
  assert.equal(told(['127.0.0.1:9'], '::1').length, 1);
  assert.deepEqual(told([], '127.0.0.1'), []);
  assert.deepEqual(told(['10.0.0.0/8'], '0.0.0.0'), []);
});

test('a rule that includes special networks is told with them, and one that names them is not', () => {
  const told = (rule: string) => {
    const lines: [fields: object, message: string][] = [];
    const warn = (fields: object, message: string) => lines.push([fields, message]);
    tellBroadRules(parseNextRules([rule]), '0.0.0.0', { ...silentLogger, warn });
    return lines.flatMap(([fields]) => (fields as { includes: string[] }).includes.map((each) => each.split(' ')[0]));
  };
  const whole = told('0.0.0.0/0:80');
  for (const network of ['127.0.0.0/8', '10.0.0.0/8', '169.254.0.0/16', '168.63.129.16']) {
    assert.ok(whole.includes(network), network);
  }
  assert.ok(!whole.includes('::1'));
  assert.ok(told('::/0').includes('169.254.0.0/16') && told('::/0').includes('fe80::/10'));
  assert.deepEqual(told('fc00::/7'), ['fd00:ec2::254', 'fd20:ce::254']);
  assert.ok(told('any').includes('127.0.0.0/8') && !told('any').includes('169.254.0.0/16'));
  for (const rule of [
    '10.0.0.0/8',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '10.1.0.0/16:80',
    '169.254.169.254',
    'a.example',
  ]) {
    assert.deepEqual(told(rule), [], rule);
  }
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
  assert.throws(() => createNextAccess([], '0.0.0.0').mayDial(parsed.hop, '10.0.0.1'), {
    code: 'POLICY_DENIED',
    message: 'no --next rule allows 10.0.0.1:80',
  });
});

const malformed = ['', ':', 'any:', 'any:0', 'any:70000', 'any:80-', 'any:-80', 'any:90-80', 'any:1-2-3', 'any:http']
  .concat(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/0x8', '2001:db8::/129', '[::1', '[]'])
  .concat(['0x7f.1', '127.1', '0177.1', '2130706433', '10.0.0.1.', '127.0.0.1.:80'])
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
