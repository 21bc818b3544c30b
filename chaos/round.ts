/** One round from first to last: its plan played, and judged. */

import type { Children } from '../harness/children.ts';
import { type FaultKind, formatFault, formatMoment } from './faults.ts';
import { bytesTwice, judgeRound, type Outcome, type Problem, type Rules } from './judge.ts';
import type { Plan } from './plan.ts';
import { type Attempt, Scene } from './scene.ts';
import { armStrike } from './strikes.ts';

export interface RoundResult {
  readonly seed: number;
  readonly scenario: string;
  readonly keys: Plan['keys'];
  /** Every planned fault in words, and whether its moment came. */
  readonly faults: readonly { readonly text: string; readonly struck: boolean }[];
  /** Kinds that struck, once each. */
  readonly kinds: readonly FaultKind[];
  readonly outcome: Outcome;
  /** How the clients ended at first: error codes, or `killed`. */
  readonly codes: readonly string[];
  readonly isRepeated: boolean;
  readonly problems: readonly Problem[];
  readonly fileBytes: number;
  readonly bytesTwice: number;
  readonly ms: number;
  /** What helps to understand a problem; empty without one. */
  readonly evidence: readonly string[];
}

/** Beyond everything that has a deadline of its own: a machine that is busy, and the start of processes. */
const slackMs = 20_000;

/** The first, and those that take up a broken transfer without being told to. */
const maxTries = 6;

/** Plays a round. `place` is a number that no other round has at the same time. */
export async function playRound(plan: Plan, children: Children, place: number, rules: Rules): Promise<RoundResult> {
  const started = performance.now();
  const scene = await Scene.start(plan, children, place, rules.pieceBytes);
  const struck = plan.strikes.map(() => false);
  let first: Attempt;
  let second: Attempt | undefined;
  let fileBytes: number;
  let nodes: string[] = [];
  try {
    for (const [index, strike] of plan.strikes.entries()) {
      armStrike(strike, scene, () => {
        struck[index] = true;
      });
    }
    const limitMs = attemptLimitMs(plan, rules);
    first = await scene.attempt(limitMs);
    if (first.missing > 0 || isSomethingAbsent(first)) second = await scene.attempt(limitMs);
    const sizes = plan.files.map((_, index) => scene.source.size(index));
    fileBytes = plan.clients * sizes.reduce((sum, bytes) => sum + bytes, 0);
  } finally {
    nodes = await scene.close();
  }
  const felt = plan.strikes.filter((_, index) => struck[index]);
  const kinds = [...new Set(felt.map(({ fault }) => fault.kind))];
  const seen = { plan, struck: felt, first, second, nodes };
  const { outcome, problems } = judgeRound(seen, rules);
  return {
    seed: plan.seed,
    scenario: plan.scenario.name,
    keys: plan.keys,
    faults: plan.strikes.map(({ fault, moment }, index) => ({
      text: `${formatFault(fault)} ${formatMoment(moment)}`,
      struck: struck[index] ?? false,
    })),
    kinds,
    outcome,
    codes: [...new Set(first.clients.flatMap(({ errors, isKilled }) => (isKilled ? ['killed'] : errors)))],
    isRepeated: second !== undefined,
    problems,
    fileBytes,
    bytesTwice: bytesTwice(seen, fileBytes, rules),
    ms: performance.now() - started,
    evidence: problems.length > 0 ? evidenceOf(first, second, scene) : [],
  };
}

/** By when a client must have ended, whatever happened to it. */
function attemptLimitMs(
  { files, clients, bytesPerSecond, strikes, routes, scenario }: Plan,
  { resumes }: Rules,
): number {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0) * clients;
  const pauses = strikes.map(({ fault }) => {
    if ('restartMs' in fault) return fault.restartMs ?? 0;
    return 'ms' in fault && !fault.kind.startsWith('step') ? (fault.ms ?? 0) : 0;
  });
  const hops = Math.max(...routes.map((route) => route.length));
  // The idle timeout, a probe of each hop, and the pause before another try.
  const silence = 2000 + hops * 2000 + 5000;
  const pauseMs = pauses.reduce((sum, ms) => sum + ms, 0);
  const at = scenario.flags.indexOf('--deadline');
  const deadlineMs = at < 0 ? 0 : Number(scenario.flags[at + 1]) * 1000;
  const tries = resumes ? maxTries : 1;
  return slackMs + (bytes / bytesPerSecond) * 3000 + pauseMs + silence * (tries + strikes.length) + deadlineMs;
}

function isSomethingAbsent({ files }: Attempt): boolean {
  return files.some((states) => states.some((state) => state === 'absent' || state === 'wrong'));
}

function evidenceOf(first: Attempt, second: Attempt | undefined, scene: Scene): string[] {
  const told = [first, ...(second ? [second] : [])].flatMap(({ clients }, run) =>
    clients.map(({ code, signal, errors, stderr, ms }) =>
      [`run ${run + 1}: exit ${signal ?? code} after ${Math.round(ms)} ms`, ...errors, stderr].join(' ').trim(),
    ),
  );
  return [...told, ...scene.logs()];
}
