/**
 * What a round is worth: its outcome, and everything about it that must never be.
 *
 * Pure: judges what scene.ts saw. The rules are those of chaos/README.md.
 */

import type { ClientEnd } from './client-process.ts';
import type { Plan, PlannedStrike } from './plan.ts';
import type { Attempt } from './scene.ts';

/** How the first run ended: all files right, some absent, some absent as a client was killed, or some wrong. */
export type Outcome = 'right' | 'absent' | 'killed' | 'wrong';

export type ProblemKind = 'wrong' | 'hung' | 'leaked' | 'gave up' | 'fetched too much';

export interface Problem {
  readonly kind: ProblemKind;
  readonly text: string;
}

export interface Seen {
  readonly plan: Pick<Plan, 'scenario' | 'files' | 'clients' | 'routes' | 'content' | 'keys'>;
  /** Faults whose moment came. */
  readonly struck: readonly PlannedStrike[];
  readonly first: Attempt;
  /** The same again, without faults, if anything was missing. */
  readonly second: Attempt | undefined;
  /** Problems of nodes, in words. */
  readonly nodes: readonly string[];
}

export interface Rules {
  /** Exit code by error code, as documented. */
  readonly exits: ReadonlyMap<string, number>;
  /** Whether the program goes on where an earlier run ended. */
  readonly resumes: boolean;
  readonly pieceBytes: number;
}

/** After which a journal may lack what came last: its records wait a moment for others, and then there is nobody, or no room. */
const unlisting: ReadonlySet<string> = new Set([
  'kill-client',
  'kill-node',
  'kill-worker',
  'cut-power',
  'disk-client',
  'disk-origin',
]);
/** Frames around each piece and each file, with room to spare. */
const frameBytes = 512;
const headBytes = 4096;

export function judgeRound(seen: Seen, rules: Rules): { readonly outcome: Outcome; readonly problems: Problem[] } {
  const { plan, first, second } = seen;
  const outcome = outcomeOf(first);
  const problems = [
    ...judgeAttempt(first, 'first', seen, rules),
    ...(second ? judgeAttempt(second, 'second', seen, rules) : []),
    ...seen.nodes.map((text) => problem('wrong', text)),
  ];
  if (outcome === 'absent' && mustSurvive(seen))
    problems.push(problem('gave up', `though it must survive: ${endings(first)}`));
  const end = second ?? first;
  if (!isComplete(end)) problems.push(problem('wrong', `not complete without faults: ${endings(end)}`));
  // Of a file that changed, what is there may be right and yet vouched for by nobody.
  const isChanged = seen.struck.some(({ fault }) => fault.kind === 'replace-file' || fault.kind === 'rewrite-file');
  if (second && rules.resumes && !isChanged && !isUploadOfAnother(plan)) {
    const unlisted = seen.struck.some(({ fault }) => unlisting.has(fault.kind)) ? first.unlisted : 0;
    const missing = first.missing + unlisted + second.clients.length * plan.scenario.streams * rules.pieceBytes;
    const due = missing + overhead(missing, plan.files.length * plan.clients, rules);
    if (second.bytes > due) {
      problems.push(problem('fetched too much', `${second.bytes} bytes, ${first.missing} were missing`));
    }
  }
  return { outcome, problems };
}

/** Whether the origin cannot know whom the pieces of the first run came from, and so takes none of them for the second (docs/resume.md). */
function isUploadOfAnother({ scenario, keys }: Seen['plan']): boolean {
  return scenario.command === 'put' && keys !== undefined && (keys.from === 'second' || !keys.clients);
}

/** Bytes that crossed the clients' legs though they had crossed them before. */
export function bytesTwice({ plan, first, second }: Seen, fileBytes: number, rules: Rules): number {
  const due = fileBytes + overhead(fileBytes, plan.files.length * plan.clients, rules);
  return Math.max(0, first.bytes + (second?.bytes ?? 0) - due);
}

function judgeAttempt(attempt: Attempt, which: 'first' | 'second', seen: Seen, rules: Rules): Problem[] {
  const problems = [...attempt.clients.flatMap((end) => judgeEnd(end, rules)), ...judgeClaims(attempt)];
  for (const states of attempt.files) {
    for (const [index, state] of states.entries()) {
      if (state === 'wrong') problems.push(problem('wrong', `${seen.plan.files[index]?.name} has wrong content`));
    }
  }
  const complete = isComplete(attempt);
  if (!complete && attempt.clients.every(({ code }) => code === 0)) {
    problems.push(problem('wrong', 'exit code 0, though a file is absent'));
  }
  if (complete && attempt.clients.some(({ code, isKilled }) => code !== 0 && !isKilled)) {
    problems.push(problem('wrong', `every file is there, though: ${endings(attempt)}`));
  }
  problems.push(...attempt.exposed.map((text) => problem('wrong', `seen in plain on a leg ${text}`)));
  const strays = attempt.strays.filter((name) => !mayStay(name, which, attempt, seen, rules));
  if (strays.length > 0) problems.push(problem('leaked', `files left: ${strays.join(' ')}`));
  problems.push(...attempt.leaks.map((text) => problem('leaked', text)));
  return problems;
}

function judgeEnd(end: ClientEnd, { exits }: Rules): Problem[] {
  if (end.isHung) return [problem('hung', `the client did not end in ${Math.round(end.ms)} ms`)];
  if (end.isKilled || end.code === 0) return [];
  const documented = end.errors.some((code) => code !== 'INTERNAL' && exits.get(code) === end.code);
  return documented ? [] : [problem('wrong', `undocumented end: ${ending(end)} ${end.stderr.slice(-300)}`)];
}

/** What the clients said of their files must be what the routes made true. */
function judgeClaims({ keys, clients }: Attempt): Problem[] {
  const proofs = clients.flatMap((end) => end.proofs);
  const isTrue = ({ encrypted, verifiedBy }: (typeof proofs)[number]) =>
    keys ? encrypted && verifiedBy !== undefined && keys.includes(verifiedBy) : !encrypted && verifiedBy === undefined;
  return proofs
    .filter((proof) => !isTrue(proof))
    .map(({ encrypted, verifiedBy = 'nobody' }) => {
      const claim = `${encrypted ? 'encrypted' : 'in plain'}, and verified by ${verifiedBy}`;
      return problem('wrong', `a client said ${claim}, and the route named ${keys?.join(' ') ?? 'no key'}`);
    });
}

/** Whether a file beside the targets is one that the documentation says may be there. */
function mayStay(name: string, which: 'first' | 'second', attempt: Attempt, seen: Seen, rules: Rules): boolean {
  const wasKilled = [seen.first, attempt].some(({ clients }) => clients.some(({ isKilled }) => isKilled));
  if (!rules.resumes) return wasKilled && /^\..+\.[0-9a-f]{8}\.part$/.test(name);
  if (wasKilled && isSecondName(name, seen)) return true;
  if (which === 'second' && isComplete(attempt)) return false;
  const nodeWrites = seen.plan.scenario.command === 'put';
  if (wasKilled || nodeWrites) return /^\..+\.part(\.journal(\.new)?)?$/.test(name);
  return !isComplete(attempt) && /^\..+\.part(\.journal)?$/.test(name);
}

/** A client that is killed as it gives a file its name leaves the part file, which is the same file; nothing takes it up. */
function isSecondName(name: string, { plan, first }: Seen): boolean {
  const index = plan.files.findIndex((file) => name === `.${file.name}.part`);
  return first.files.some((states) => states[index] === 'right' || states[index] === 'old');
}

function outcomeOf(attempt: Attempt): Outcome {
  if (isComplete(attempt)) return 'right';
  if (attempt.files.flat().includes('wrong')) return 'wrong';
  return attempt.clients.some(({ isKilled }) => isKilled) ? 'killed' : 'absent';
}

/** Whether every fault that struck is one that its scenario survives, and leaves a way to go. */
function mustSurvive({ plan, struck }: Seen): boolean {
  const lost = struck.flatMap(({ fault, moment }) => {
    if (fault.kind === 'kill-node' && fault.restartMs === null) return [fault.node];
    const isLoss = fault.kind === 'swallow' || fault.kind === 'stall';
    return isLoss && fault.ms === null && 'node' in moment ? [moment.node] : [];
  });
  const isWay = (route: Plan['routes'][number]) => route.every((hops) => hops.some((node) => !lost.includes(node)));
  if (!plan.routes.some(isWay)) return false;
  return struck.every(({ fault, moment }) => {
    // A request that was altered on its way may ask for what there is not.
    if ('node' in moment && moment.direction !== plan.content) return false;
    return plan.scenario.survives.includes(fault.kind);
  });
}

function isComplete({ files }: Attempt): boolean {
  return files.every((states) => states.every((state) => state === 'right' || state === 'old'));
}

function overhead(bytes: number, files: number, { pieceBytes }: Rules): number {
  return Math.ceil(bytes / pieceBytes) * frameBytes + (files + 1) * headBytes;
}

function endings({ clients }: Attempt): string {
  return clients.map(ending).join('; ');
}

function ending({ code, signal, errors }: ClientEnd): string {
  return [`exit ${signal ?? code}`, ...errors].join(' ');
}

function problem(kind: ProblemKind, text: string): Problem {
  return { kind, text };
}
