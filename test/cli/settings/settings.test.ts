/** The user's settings: what a file of them says, what is told of its mistakes, and which arguments are names. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command, Option } from 'commander';
import { countFlag, listFlag, rateFlag } from '../../../src/cli/flags.ts';
import { runWithDefaults } from '../../../src/cli/settings/flag-defaults.ts';
import { findNamedRoute } from '../../../src/cli/settings/named-route.ts';
import { readUserSettings } from '../../../src/cli/settings/read-settings.ts';
import { settingsDirectory, settingsFile } from '../../../src/cli/settings/settings-place.ts';
import type { HoplineError } from '../../../src/core/errors.ts';
import { parseVia } from '../../../src/wire/route.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const key = 'hop1s58kzzclglqz8jz9gtyf8uegt9hu554tnsnel8ds5afvw9rftquqwt6u2x';

/** A file of settings that HOPLINE_CONFIG names as long as the test runs. */
async function writeSettings(t: TestContext, text: string): Promise<string> {
  const file = path.join((await makeTempRoot(t)).path, 'config.yaml');
  await writeFile(file, text);
  setEnv(t, { HOPLINE_CONFIG: file });
  return file;
}

function setEnv(t: TestContext, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

test('a route is a list of hops as --via has them, several are a list of lists', async (t) => {
  const file = await writeSettings(
    t,
    `routes:
  eu: [10.0.0.2:7001|10.0.0.9:7001, 10.0.1.5:7001#${key}]
  two: [['@edge', 10.0.1.5:7001], ['[::1]:7002']]
`,
  );
  const { routes } = await readUserSettings(file);
  const written = {
    eu: [`10.0.0.2:7001|10.0.0.9:7001,10.0.1.5:7001#${key}`],
    two: ['@edge,10.0.1.5:7001', '[::1]:7002'],
  };
  for (const [name, via] of Object.entries(written)) assert.deepEqual(routes.get(name), parseVia(via, 'x').routes);
});

test('every mistake of the settings is told with file, line and fix', async (t) => {
  const cases: readonly (readonly [string, readonly RegExp[]])[] = [
    ['routes: {eu: [10.0.0.2]}', [/:1:15: read "10\.0\.0\.2", expected a hop, HOST PORT/]],
    [
      'routes:\n  eu: [a:1, b:2, a:1]\n  us: [c:0]',
      [/:2:18: read "a:1", expected a hop that is not on/, /:3:8: read "c:0"/],
    ],
    ['routes: {c: [10.0.0.2:7001]}', [/:1:10: routes\.c: read "c", expected the name of a route, 2 to 64/]],
    ['routes: {eu: []}', [/:1:14: routes\.eu: read a list, expected a list of hops/]],
    ['routes: {eu: [a:1, [b:2]]}', [/:1:20: read a list, expected a hop/]],
    ['routes: {eu: 7}', [/:1:14: routes\.eu: read 7, expected a list/]],
    [`routes: {eu: ["a:1#${key.slice(0, -1)}q"]}`, [/:1:15: .*hop1/]],
    ['route: {eu: [a:1]}', [/:1:1: route: read the unknown key "route", expected a known one; did you mean routes\?/]],
    ['routes: {eu: [@edge]}', [/:1:15: read what is not YAML/]],
    ['defaults: {send: {retry: 5}}', [/:1:12: defaults\.send: read the unknown key "send"/]],
  ];
  for (const [text, expected] of cases) {
    const file = await writeSettings(t, text);
    const error = await readUserSettings(file).then(
      () => assert.fail(text),
      (error: HoplineError) => error,
    );
    assert.equal(error.code, 'CONFIG_INVALID', text);
    const problems = error.problems ?? [];
    assert.equal(problems.length, expected.length, `${text}: ${problems.join('\n')}`);
    for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern);
    assert.ok(problems.every((problem) => problem.startsWith(`${file}:`)));
  }
});

test('a name of a route stands before a colon; a drive, a path and a hop are none', async (t) => {
  const file = await writeSettings(t, 'routes: {eu: [10.0.0.2:7001], host: [10.0.0.3:7001]}');
  assert.deepEqual(await findNamedRoute('eu:reports/june.pdf'), {
    name: 'eu',
    file: 'reports/june.pdf',
    routes: parseVia('10.0.0.2:7001', 'x').routes,
  });
  assert.equal((await findNamedRoute('eu:'))?.file, '');
  assert.equal((await findNamedRoute('eu:C:/x'))?.file, 'C:/x');
  for (const none of [
    'eu',
    'C:\\files\\route.txt',
    'c:/route.txt',
    './eu:x',
    'dir/eu:x',
    '10.0.0.2:7001',
    'other:7001',
    ':x',
  ]) {
    assert.equal(await findNamedRoute(none), undefined, none);
  }
  await assert.rejects(findNamedRoute('us:x'), {
    code: 'ROUTE_UNREADABLE',
    message: `there is no route file us:x, and no route us: ${file} has eu, host`,
  });
});

test('a name that is a file here as well is refused, and a file of another name is a route file', async (t) => {
  const file = await writeSettings(t, 'routes: {eu: [10.0.0.2:7001]}');
  const cwd = process.cwd();
  process.chdir(path.dirname(file));
  t.after(() => process.chdir(cwd));
  await writeFile('eu:x', '');
  await writeFile('us:x', '');
  await assert.rejects(findNamedRoute('eu:x'), {
    code: 'USAGE_INVALID',
    message: /^eu:x is a file here, and eu is a route: write \.\/eu:x/,
  });
  assert.equal(await findNamedRoute('us:x'), undefined);
  assert.equal((await findNamedRoute('eu:y'))?.file, 'y');
});

test('without a file of settings there are no names, and one that is named must be there', async (t) => {
  const root = await makeTempRoot(t);
  setEnv(t, { HOPLINE_CONFIG: '', XDG_CONFIG_HOME: root.path });
  await assert.rejects(findNamedRoute('eu:x'), {
    code: 'ROUTE_UNREADABLE',
    message: /no route eu: there is no .*config\.yaml$/,
  });
  await mkdir(path.join(root.path, 'hopline'));
  await writeFile(path.join(root.path, 'hopline', 'config.yaml'), 'routes: {eu: [a:1]}');
  assert.equal((await findNamedRoute('eu:x'))?.name, 'eu');
  setEnv(t, { HOPLINE_CONFIG: path.join(root.path, 'none.yaml') });
  await assert.rejects(findNamedRoute('eu:x'), { code: 'CONFIG_INVALID' });
});

test('settings are where the system has them', () => {
  const env = { XDG_CONFIG_HOME: '/x', APPDATA: 'C:\\Users\\u\\AppData\\Roaming' };
  assert.equal(settingsDirectory(env, 'win32'), path.join('/x', 'hopline'));
  assert.equal(settingsDirectory({ APPDATA: env.APPDATA }, 'win32'), 'C:\\Users\\u\\AppData\\Roaming\\hopline');
  assert.match(settingsDirectory({ APPDATA: env.APPDATA }, 'linux'), /\.config.hopline$/);
  assert.deepEqual(settingsFile({ ...env, HOPLINE_CONFIG: 'ci.yaml' }), { file: 'ci.yaml', isNamed: true });
});

test('a home that is no place for itself does not count: nothing is taken from the working directory', (t) => {
  const places = settingsDirectory({});
  for (const HOME of ['', 'here', '.']) {
    setEnv(t, { HOME });
    assert.ok(path.isAbsolute(settingsDirectory({})), HOME);
    assert.equal(settingsDirectory({ XDG_CONFIG_HOME: 'here' }), settingsDirectory({}));
  }
  assert.ok(path.isAbsolute(places));
});

/** The flags that a command runs with. */
async function flagsBy(args: readonly string[]): Promise<object> {
  let seen: object | undefined;
  const program = new Command().exitOverride();
  program
    .command('get')
    .option('--retry <N>', 'times', countFlag)
    .option('--limit-rate <RATE>', 'bytes', rateFlag)
    .option('--tag <TAG>', 'repeatable', listFlag)
    .option('--via <HOPS>', 'hops', listFlag)
    .option('--no-resume', 'anew')
    .option('--force', 'replace')
    .addOption(new Option('--on-change <WHAT>', 'what').choices(['restart', 'fail']).default('restart'))
    .addOption(new Option('--classic', 'plain').conflicts('native'))
    .option('--native', 'never')
    .option('--json', 'for scripts')
    .action((_flags, command: Command) =>
      runWithDefaults(
        command,
        () => process.stderr,
        async (flags) => {
          seen = flags;
        },
      ),
    );
  await program.parseAsync(['node', 'hopline', 'get', ...args]);
  return seen ?? assert.fail('it did not run');
}

test('a flag goes before the environment, that before the settings, and those before what is built in', async (t) => {
  await writeSettings(
    t,
    'defaults: {get: {retry: 5, limit-rate: 10M, on-change: fail, no-resume: true, tag: [a, b], native: true}}',
  );
  const built = { onChange: 'fail', resume: false, tag: ['a', 'b'], native: true, limitRate: 10 * 1024 ** 2 };
  assert.deepEqual(await flagsBy([]), { ...built, retry: 5 });
  setEnv(t, { HOPLINE_RETRY: '6', HOPLINE_NO_RESUME: '0', HOPLINE_VIA: '10.0.0.2:7001', HOPLINE_TAG: '' });
  assert.deepEqual(await flagsBy([]), { ...built, retry: 6, resume: true });
  assert.deepEqual(await flagsBy(['--retry', '7', '--tag', 'c']), { ...built, retry: 7, resume: true, tag: ['c'] });
  const classic = await flagsBy(['--classic']);
  assert.ok('classic' in classic && !('native' in classic), 'what a flag excludes does not count');
});

test('a value of a flag that is none is told where it is written', async (t) => {
  const said: string[] = [];
  t.mock.method(process.stderr, 'write', (text: string) => said.push(text));
  const wrong: readonly (readonly [string, RegExp])[] = [
    [
      'defaults: {get: {limit-rate: fast}}',
      /:1:30: defaults\.get\.limit-rate: read "fast", expected bytes a second, such as 500K/,
    ],
    ['defaults: {get: {on-change: go}}', /:1:29: defaults\.get\.on-change: read "go", expected one of restart, fail/],
    ['defaults: {get: {force: maybe}}', /:1:25: defaults\.get\.force: read "maybe", expected true or false/],
    ['defaults: {get: {retry: [1, 2]}}', /:1:25: defaults\.get\.retry: read a list, expected one value/],
    [
      'defaults: {get: {limitrate: 1M}}',
      /:1:18: .*read the unknown key "limitrate", expected a known one; did you mean limit-rate\?/,
    ],
    ['defaults: {get: {via: "a:1"}}', /read the unknown key "via"/],
    ['defaults: {get: {classic: true, native: true}}', /:1:41: read native beside classic, expected one of them/],
  ];
  for (const [text, expected] of wrong) {
    await writeSettings(t, text);
    said.length = 0;
    await assert.rejects(flagsBy([]), { exitCode: 13 }, text);
    assert.match(said.join(''), expected);
  }
  await writeSettings(t, '');
  setEnv(t, { HOPLINE_RETRY: 'often' });
  await assert.rejects(flagsBy([]), { exitCode: 2 });
  assert.match(said.join(''), /HOPLINE_RETRY: read "often", expected a whole number from 1 to 1000000\n/);
  setEnv(t, { HOPLINE_RETRY: '', HOPLINE_FORCE: 'maybe' });
  await assert.rejects(flagsBy([]), { exitCode: 2 });
  assert.match(said.join(''), /HOPLINE_FORCE: read "maybe", expected 1 or 0\n/);
});
