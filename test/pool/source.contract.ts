/** What every source of members must hold to. Imported by a test file for each implementation. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Member, type MemberSource, nameMember } from '../../src/pool/member.ts';
import type { Port } from '../../src/wire/address.ts';

export interface Rig {
  readonly source: MemberSource;
  /** Makes the source know these members instead; undefined if it never changes. */
  readonly change?: (members: readonly Member[]) => Promise<void>;
  /** Makes the source unable to tell, for a while, if it can be. */
  readonly fail?: () => Promise<void>;
  /** Nothing of it may be left once `watch` has settled. */
  readonly leftOver: () => number;
}

export type MakeRig = (t: TestContext, members: readonly Member[]) => Rig | Promise<Rig>;

const makeMembers = (...numbers: number[]): Member[] =>
  numbers.map((number) => ({ hop: { host: `10.0.0.${number}`, port: 80 as Port }, weight: 1, priority: 0 }));

/** Lets promises settle. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

export function sourceContract(name: string, makeRig: MakeRig): void {
  const watch = async (t: TestContext, members: readonly Member[]) => {
    const rig = await makeRig(t, members);
    const stop = new AbortController();
    const reports: string[][] = [];
    const watching = rig.source.watch((list) => reports.push(list.map(({ hop }) => nameMember(hop))), stop.signal);
    const end = async () => {
      stop.abort();
      await watching;
    };
    t.after(end);
    await turn();
    return { rig, reports, end };
  };
  const names = (members: readonly Member[]) => members.map(({ hop }) => nameMember(hop));

  test(`${name}: all members are reported, in their order`, async (t) => {
    const { reports } = await watch(t, makeMembers(1, 2, 3));
    assert.deepEqual(reports, [names(makeMembers(1, 2, 3))]);
  });

  test(`${name}: a watch that is ended by its own report settles`, async (t) => {
    const { source } = await makeRig(t, makeMembers(1, 2));
    const stop = new AbortController();
    let reports = 0;
    const report = () => {
      reports += 1;
      stop.abort();
    };
    await source.watch(report, stop.signal);
    assert.equal(reports, 1);
  });

  test(`${name}: two may watch, each for as long as it likes`, async (t) => {
    const rig = await makeRig(t, makeMembers(1));
    const stops = [new AbortController(), new AbortController()];
    const seen: number[] = [0, 0];
    const watching = stops.map(({ signal }, index) =>
      rig.source.watch(() => {
        seen[index] = (seen[index] ?? 0) + 1;
      }, signal),
    );
    await turn();
    stops[0]?.abort();
    await watching[0];
    await rig.change?.(makeMembers(1, 2));
    assert.deepEqual(seen, [1, rig.change ? 2 : 1]);
    stops[1]?.abort();
    await watching[1];
    assert.equal(rig.leftOver(), 0);
  });

  test(`${name}: a change is reported whole, and what is no change is not`, async (t) => {
    const { rig, reports } = await watch(t, makeMembers(1, 2));
    if (!rig.change) return t.skip('it never changes');
    await rig.change(makeMembers(1, 2));
    await rig.change(makeMembers(1, 2, 3));
    assert.deepEqual(reports.at(-1), names(makeMembers(1, 2, 3)));
    assert.equal(reports.length, 2);
    await rig.change(makeMembers(2, 3));
    assert.deepEqual(reports.at(-1), names(makeMembers(2, 3)));
  });

  test(`${name}: while it cannot tell, the members stay, and it goes on afterwards`, async (t) => {
    const { rig, reports } = await watch(t, makeMembers(1, 2));
    if (!rig.fail || !rig.change) return t.skip('it cannot fail');
    await rig.fail();
    assert.equal(reports.length, 1);
    await rig.change(makeMembers(3));
    assert.deepEqual(reports.at(-1), names(makeMembers(3)));
  });

  test(`${name}: after the signal nothing is reported, and nothing is left`, async (t) => {
    const { rig, reports, end } = await watch(t, makeMembers(1));
    await end();
    assert.equal(rig.leftOver(), 0);
    await rig.change?.(makeMembers(1, 2));
    assert.equal(reports.length, 1);
  });

  test(`${name}: a signal that has aborted already gets nothing`, async (t) => {
    const rig = await makeRig(t, makeMembers(1));
    let reports = 0;
    await rig.source.watch(() => {
      reports += 1;
    }, AbortSignal.abort());
    assert.equal(reports, 0);
    assert.equal(rig.leftOver(), 0);
  });
}
