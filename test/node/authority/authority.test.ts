import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { Authority } from '../../../src/node/authority/authority.ts';
import { NodeRates } from '../../../src/node/rates.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { until } from '../../support/chain.ts';
import { FakeClock } from '../../support/legs.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const key = newKey().key.public;

async function openAuthority(t: TestContext, line: string) {
  const file = path.join((await makeTempRoot(t)).path, 'authorized_keys');
  await writeFile(file, `${line} ${key.text}`, { mode: 0o600 });
  const clock = new FakeClock();
  const metrics = new Metrics();
  const time = { now: Date.UTC(2027, 0, 1) };
  const wallClock = () => time.now;
  const authority = await Authority.open({ file, requireKey: false, clock, wallClock, log: silentLogger, metrics });
  authority.watch();
  t.after(() => authority.close());
  return { authority, clock, metrics, time, file };
}

const circuit = { wake() {}, rates: undefined, ratesOf: () => ({}) };

test('a right that expires ends the circuits that have it', async (t) => {
  const { authority, clock, time } = await openAuthority(t, 'all,expires="2027-01-02"');
  const ends: string[] = [];
  const grants = [authority.admit(key), authority.admit(key)];
  for (const grant of grants) grant.hold({ ...circuit, reset: ({ code }) => ends.push(code) });
  grants[1]?.leave();
  clock.advance(1000);
  assert.deepEqual(ends, []);
  time.now = Date.UTC(2027, 0, 2);
  assert.throws(() => grants[0]?.check(), /has expired at 2027-01-02/);
  clock.advance(1000);
  assert.deepEqual(ends, ['AUTH_DENIED']);
  assert.throws(
    () => authority.admit(key).check(),
    (error) => error instanceof HoplineError && error.code === 'AUTH_DENIED',
  );
});

test('a file is read when it has stood still, and what is wrong with it is told again each minute', async (t) => {
  const { authority, clock, metrics, file } = await openAuthority(t, 'all');
  const failures = () => metrics.snapshot().failures.CONFIG_INVALID ?? 0;
  // In one go: by this clock a second is over sooner than a file is written.
  const replace = async (text: string) => {
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  await replace(`reed="**" ${key.text}`);
  await until(() => {
    clock.advance(1000);
    return failures() === 1;
  });
  authority.admit(key).checkRead('anything');
  const before = failures();
  for (let second = 0; second < 60; second += 1) clock.advance(1000);
  assert.ok(failures() > before);
  await replace(`read="x" ${key.text}`);
  await until(() => {
    clock.advance(1000);
    return authority.admit(key).rights.read.texts[0] === 'x';
  });
});

test('a file in another encoding takes the rights of whom it names no more, and of nobody else', async (t) => {
  const gone = newKey().key.public;
  const { authority, clock, metrics, file } = await openAuthority(t, `all ${gone.text}\nall`);
  authority.admit(gone).check();
  await writeFile(file, Buffer.from(`all ${key.text} Zo\u00eb\n`, 'latin1'));
  await until(() => {
    clock.advance(1000);
    return metrics.snapshot().failures.CONFIG_INVALID !== undefined;
  });
  assert.throws(() => authority.admit(gone).check(), /is not among the authorized keys/);
  authority.admit(key).check();
});

test('all circuits of a key share its rate, from when their clients have shown that they are there', async (t) => {
  const { authority, clock } = await openAuthority(t, 'all,limit-rate="1M"');
  const rates = new NodeRates({}, clock);
  const open = () => {
    const grant = authority.admit(key);
    const own = rates.open(grant.rights.limitRate);
    const ratesOf = (owner: object, bytes: number) => rates.of(owner, bytes);
    grant.hold({ ...circuit, reset() {}, rates: own, ratesOf });
    return { grant, back: own?.back ?? assert.fail() };
  };
  const [first, second, unseen] = [open(), open(), open()];
  first.grant.confirm();
  second.grant.confirm();
  const burst = first.back.burstBytes;
  assert.equal(first.back.grant(burst), burst);
  assert.equal(second.back.grant(burst), 0, 'the first has used what there was');
  assert.equal(unseen.back.grant(burst), burst, 'of nobody else');
});
