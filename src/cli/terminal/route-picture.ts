/**
 * The way of a transfer that failed, as a few lines: what passed, what is at fault, and what nobody got to.
 *
 * Invariant: at most four lines, none longer than the columns that there are, if these are at least 40.
 */

import type { ErrorCode, HoplineError, RouteStep } from '../../core/errors.ts';
import { safeText } from '../../core/text.ts';

/** In a word what became of a hop, or of the leg to it. */
const verdicts: Partial<Record<ErrorCode, string>> = {
  PEER_UNREACHABLE: 'closed',
  PEER_UNRESOLVED: 'no name',
  TIMEOUT_CONNECT: 'filtered',
  TIMEOUT_HEAD: 'silent',
  TIMEOUT_IDLE: 'stalled',
  PEER_LOST: 'lost',
  PEER_PROTOCOL: 'protocol',
  PEER_VERSION: 'version',
  PEER_CLASSIC: 'classic',
  POLICY_DENIED: 'denied',
  LIMIT_CONNECTIONS: 'full',
  LIMIT_HOPS: 'too long',
  NODE_STOPPING: 'stopping',
  KEY_CHANGED: 'key',
  SECURE_FAILED: 'key',
  AUTH_REQUIRED: 'auth',
  AUTH_DENIED: 'auth',
  POOL_EMPTY: 'empty',
  POOL_UNKNOWN: 'no pool',
  ROUTE_LOOP: 'loop',
};

/** None where the way is not at fault, or has a single hop, of which the error says all there is. */
export function drawRoute({ route = [], code }: HoplineError, columns: number): string[] {
  const broken = route.findIndex(({ state }) => state === 'fails');
  const step = route[broken];
  if (!step || route.length < 2) return [];
  const what = `<- ${step.leg ? `leg ${broken + 1}: ` : ''}${verdictOfCode(code)}`;
  return [
    ...drawRun('ok', route, 1, broken, columns),
    drawStep('x', broken + 1, step, columns, what),
    ...drawRun('-', route, broken + 2, route.length, columns),
  ];
}

export function verdictOfCode(code: ErrorCode): string {
  return verdicts[code] ?? 'fails';
}

/** The hops from `first` to `last`, in two lines at most. */
function drawRun(mark: string, route: readonly RouteStep[], first: number, last: number, columns: number): string[] {
  const nearest = route[last - 1];
  if (last < first || !nearest) return [];
  if (first === last) return [drawStep(mark, last, nearest, columns)];
  // Of those that nobody got to, none is of interest.
  if (mark !== 'ok') return [others(mark, first, last)];
  return [others(mark, first, last - 1), drawStep(mark, last, nearest, columns)];
}

function others(mark: string, first: number, last: number): string {
  if (first === last) return `  ${mark.padEnd(3)} hop ${first}`;
  return `  ${mark.padEnd(3)} hops ${first} to ${last}`;
}

function drawStep(mark: string, place: number, { address }: RouteStep, columns: number, what = ''): string {
  const head = `  ${mark.padEnd(3)} hop ${place}  `;
  const room = Math.max(8, columns - head.length - (what === '' ? 0 : what.length + 2));
  const text = safeText(address);
  const shown = text.length <= room ? text : `${text.slice(0, room - 1)}…`;
  return `${head}${shown}${what === '' ? '' : `  ${what}`}`;
}
