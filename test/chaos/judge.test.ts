import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { ClientEnd } from '../../chaos/client-process.ts';
import type { Fault, Moment } from '../../chaos/faults.ts';
import { bytesTwice, judgeRound, type Rules, type Seen } from '../../chaos/judge.ts';
import type { PlannedStrike } from '../../chaos/plan.ts';
import { scenarios } from '../../chaos/scenarios.ts';
import type { Attempt } from '../../chaos/scene.ts';
import { Source } from '../../chaos/source.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1024 * 1024;
const rules: Rules = { exits: new Map([['PEER_LOST', 4]]), resumes: true, pieceBytes: mib };
const scenario = scenarios.find(({ name }) => name === 'chain');
if (!scenario) throw new Error('there is no such scenario');
const plan: Seen['plan'] = {
  scenario,
  files: [{ name: 'a', bytes: 4 * mib }],
  clients: 1,
  routes: [[[0], [1]]],
  content: 'back',
  keys: undefined,
};

const fine: ClientEnd = {
  code: 0,
  signal: null,
  isHung: false,
  isKilled: false,
  errors: [],
  proofs: [],
  stderr: '',
  ms: 100,
};
const lost: ClientEnd = { ...fine, code: 4, errors: ['PEER_LOST'] };
const killed: ClientEnd = { ...fine, code: null, signal: 'SIGKILL', isKilled: true };
const right: Attempt = {
  keys: undefined,
  clients: [fine],
  files: [['right']],
  strays: [],
  bytes: 4 * mib,
  missing: 0,
  unlisted: 0,
  exposed: [],
  leaks: [],
};
const absent: Attempt = { ...right, clients: [lost], files: [['absent']], bytes: mib, missing: 3 * mib };
const again: Attempt = { ...right, bytes: 3 * mib };

/** A fault that a scenario does not survive, if none is named. */
function strike(
  fault: Fault = { kind: 'reset' },
  moment: Moment = { node: 0, direction: 'back', byte: 5 },
): PlannedStrike {
  return { fault, moment };
}

function judge(changed: Partial<Seen>, by: Rules = rules) {
  const { outcome, problems } = judgeRound(
    { plan, struck: [], first: right, second: undefined, nodes: [], ...changed },
    by,
  );
  return [outcome, ...problems.map(({ kind }) => kind)];
}

test('what must be is no problem', () => {
  assert.deepEqual(judge({}), ['right']);
  assert.deepEqual(judge({ first: { ...right, files: [['old']] } }), ['right']);
  assert.deepEqual(judge({ struck: [strike()], first: absent, second: again }), ['absent']);
  assert.deepEqual(judge({ struck: [strike()], first: { ...absent, clients: [killed] }, second: again }), ['killed']);
});

test('a client that claims more than there was, or less, is wrong', () => {
  const said = (verifiedBy?: string, keys?: string[], encrypted = verifiedBy !== undefined) =>
    judge({ first: { ...right, keys, clients: [{ ...fine, proofs: [{ encrypted, verifiedBy }] }] } });
  assert.deepEqual(said(), ['right']);
  assert.deepEqual(said('k1', ['k1', 'k2']), ['right']);
  for (const wrong of [said('k1'), said('k3', ['k1', 'k2']), said(undefined, ['k1']), said('k1', ['k1'], false)]) {
    assert.deepEqual(wrong, ['right', 'wrong']);
  }
});

test('what an encrypted run shows on a leg is wrong', () => {
  assert.deepEqual(judge({ first: { ...right, exposed: ['into node 0, back: file-1-0'] } }), ['right', 'wrong']);
});

test('wrong content is wrong, at first and after the second run, whatever the exit code', () => {
  assert.deepEqual(judge({ first: { ...right, files: [['wrong']], missing: mib }, second: { ...again, bytes: mib } }), [
    'wrong',
    'wrong',
    'wrong',
  ]);
  assert.ok(judge({ struck: [strike()], first: { ...absent, files: [['wrong']] }, second: again }).includes('wrong'));
  const second: Attempt = { ...again, files: [['wrong']] };
  assert.ok(judge({ struck: [strike()], first: absent, second }).includes('wrong'));
});

test('exit code 0 without the file, and another with it, are wrong', () => {
  assert.deepEqual(judge({ struck: [strike()], first: { ...absent, clients: [fine] }, second: again }), [
    'absent',
    'wrong',
  ]);
  assert.deepEqual(judge({ first: { ...right, clients: [lost] } }), ['right', 'wrong']);
});

test('an end that is not documented is wrong: no code, another code, a defect, a signal that nobody sent', () => {
  for (const end of [
    { ...lost, errors: [] },
    { ...lost, code: 5 },
    { ...lost, code: 1, errors: ['INTERNAL'] },
    { ...lost, code: null, signal: 'SIGSEGV', errors: [] },
  ]) {
    assert.deepEqual(judge({ struck: [strike()], first: { ...absent, clients: [end] }, second: again }), [
      'absent',
      'wrong',
    ]);
  }
});

test('a second run that does not end right is wrong', () => {
  assert.deepEqual(judge({ struck: [strike()], first: absent, second: absent }), ['absent', 'wrong']);
});

test('a client that does not end hangs', () => {
  const first = { ...absent, clients: [{ ...killed, isKilled: false, isHung: true }] };
  assert.deepEqual(judge({ struck: [strike()], first, second: again }), ['absent', 'hung']);
});

test('files and descriptors that are left are a leak, but for those that a second run uses', () => {
  const left = ['.a.part', '.a.part.journal'];
  assert.deepEqual(judge({ struck: [strike()], first: { ...absent, strays: left }, second: again }), ['absent']);
  assert.deepEqual(judge({ first: { ...right, strays: left } }), ['right', 'leaked']);
  assert.deepEqual(judge({ struck: [strike()], first: absent, second: { ...again, strays: left } }), [
    'absent',
    'leaked',
  ]);
  assert.deepEqual(judge({ struck: [strike()], first: { ...absent, strays: ['b'] }, second: again }), [
    'absent',
    'leaked',
  ]);
  assert.deepEqual(judge({ first: { ...right, leaks: ['node 0 holds 2'] } }), ['right', 'leaked']);
});

test('a killed client may leave the part file of a file that is there', () => {
  const strays = ['.a.part'];
  assert.deepEqual(judge({ first: { ...right, clients: [killed], strays } }), ['right']);
  assert.deepEqual(judge({ first: { ...right, clients: [killed], strays: ['.a.part.journal.old'] } }), [
    'right',
    'leaked',
  ]);
  const first = { ...absent, clients: [killed], strays };
  assert.deepEqual(judge({ struck: [strike()], first, second: { ...again, strays } }), ['killed', 'leaked']);
});

test('without resuming, only a killed client may leave something, and only that', () => {
  const by = { ...rules, resumes: false };
  const strays = ['.a.0123abcd.part'];
  const first: Attempt = { ...absent, clients: [killed], strays };
  assert.deepEqual(judge({ struck: [strike()], first, second: { ...again, strays } }, by), ['killed']);
  assert.deepEqual(judge({ struck: [strike()], first: { ...absent, strays }, second: again }, by), [
    'absent',
    'leaked',
  ]);
});

test('giving up on a fault that the scenario survives is a problem, alone and not beside one that it does not', () => {
  const slow = strike({ kind: 'slow', bytesPerSecond: 1, ms: 1 });
  assert.deepEqual(judge({ struck: [slow], first: absent, second: again }), ['absent', 'gave up']);
  assert.deepEqual(judge({ struck: [], first: absent, second: again }), ['absent', 'gave up']);
  assert.deepEqual(judge({ struck: [slow, strike()], first: absent, second: again }), ['absent']);
});

test('a loss for good must be survived where there is another way, a request that was altered nowhere', () => {
  const persistent = { ...plan, scenario: { ...plan.scenario, survives: ['kill-node', 'stall', 'flip'] as const } };
  const dead = strike({ kind: 'kill-node', node: 1, restartMs: null });
  const lost = strike({ kind: 'stall', ms: null }, { node: 0, direction: 'back', byte: 5 });
  const first = absent;
  const second = again;
  const back = strike({ kind: 'kill-node', node: 1, restartMs: 100 });
  assert.deepEqual(judge({ plan: persistent, struck: [back], first, second }), ['absent', 'gave up']);
  for (const fault of [dead, lost]) {
    assert.deepEqual(judge({ plan: persistent, struck: [fault], first, second }), ['absent']);
    const detour = {
      ...persistent,
      routes: [
        [[0], [1]],
        [[2], [3]],
      ],
    };
    assert.deepEqual(judge({ plan: detour, struck: [fault], first, second }), ['absent', 'gave up']);
    const alternates = {
      ...persistent,
      routes: [
        [
          [0, 2],
          [1, 3],
        ],
      ],
    };
    assert.deepEqual(judge({ plan: alternates, struck: [fault], first, second }), ['absent', 'gave up']);
  }
  const flip = (direction: 'forward' | 'back') => strike({ kind: 'flip', bit: 1 }, { node: 0, direction, byte: 5 });
  assert.deepEqual(judge({ plan: persistent, struck: [flip('back')], first, second }), ['absent', 'gave up']);
  assert.deepEqual(judge({ plan: persistent, struck: [flip('forward')], first, second }), ['absent']);
});

test('a second run may fetch what is missing and a piece for each circuit, and no more', () => {
  const struck = [strike()];
  assert.deepEqual(judge({ struck, first: absent, second: { ...again, bytes: 4 * mib } }), ['absent']);
  const second = { ...again, bytes: 4.1 * mib };
  assert.deepEqual(judge({ struck, first: absent, second }), ['absent', 'fetched too much']);
  assert.deepEqual(judge({ struck, first: absent, second }, { ...rules, resumes: false }), ['absent']);
  const changed = strike({ kind: 'rewrite-file', file: 0, truncates: false });
  assert.deepEqual(judge({ struck: [changed], first: absent, second }), ['absent']);
  const first = { ...absent, unlisted: mib };
  assert.deepEqual(judge({ struck, first, second }), ['absent', 'fetched too much']);
  assert.deepEqual(judge({ struck: [strike({ kind: 'kill-client', client: 0 })], first, second }), ['absent']);
});

test('an upload whose sender the origin cannot know again begins anew', () => {
  const put = { ...plan, scenario: { ...scenario, command: 'put' } } as const;
  const struck = [strike()];
  const second = { ...again, bytes: 4.1 * mib };
  const judgePut = (of: Seen['plan']) => judge({ plan: of, struck, first: absent, second });
  for (const keys of [
    { clients: true, from: 'second' },
    { clients: false, from: 'first' },
  ] as const) {
    assert.deepEqual(judgePut({ ...put, keys: { ...keys, listedAt: undefined } }), ['absent']);
    assert.deepEqual(judgePut({ ...plan, keys: { ...keys, listedAt: undefined } }), ['absent', 'fetched too much']);
  }
  const known = { clients: true, from: 'first', listedAt: undefined } as const;
  assert.deepEqual(judgePut({ ...put, keys: known }), ['absent', 'fetched too much']);
});

test('what a node did wrong is wrong', () => {
  assert.deepEqual(judge({ nodes: ['node 0 ended by itself'] }), ['right', 'wrong']);
});

test('bytes twice are those beyond the files and their frames', () => {
  const seen: Seen = { plan, struck: [], first: right, second: undefined, nodes: [] };
  assert.equal(bytesTwice(seen, 4 * mib, rules), 0);
  const twice = bytesTwice({ ...seen, first: absent, second: { ...again, bytes: 5 * mib } }, 4 * mib, rules);
  assert.ok(twice > 1.9 * mib && twice <= 2 * mib);
});

test('a file is right, whole as it was before, absent, or wrong', async (t) => {
  const root = await makeTempRoot(t);
  const served = path.join(root.path, 'served');
  await mkdir(served);
  const source = new Source([{ name: 'a', bytes: 2_000_000 }], [served], path.join(root.path, 'spare'));
  const copy = path.join(root.path, 'copy');
  assert.equal(source.judge(0, copy), 'absent');
  const before = await readFile(path.join(served, 'a'));
  await writeFile(copy, before);
  assert.equal(source.judge(0, copy), 'right');
  source.rewrite(0, false);
  assert.equal(source.judge(0, copy), 'old');
  const after = await readFile(path.join(served, 'a'));
  await writeFile(copy, after);
  assert.equal(source.judge(0, copy), 'right');
  await writeFile(copy, Buffer.concat([before.subarray(0, mib), after.subarray(mib)]));
  assert.equal(source.judge(0, copy), 'wrong');
  assert.equal(source.missing(0, copy, mib), mib);
  await writeFile(copy, before.subarray(0, -1));
  assert.equal(source.judge(0, copy), 'wrong');
  source.replace(0, 500);
  assert.equal((await readFile(path.join(served, 'a'))).length, 500);
  assert.equal(source.size(0), 500);
});
