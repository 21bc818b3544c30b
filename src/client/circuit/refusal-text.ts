/**
 * Says which hop failed and how, in the client's own words about its own route.
 *
 * A refusal carries a code, a place in the route and maybe the operating
 * system's word; the route is the client's, so the addresses and the sentence are made here.
 * Invariant: no text from another machine reaches the user.
 */

import { type ErrorCode, HoplineError } from '../../core/errors.ts';
import { inWords } from '../../core/system-errors.ts';
import { describeHop, formatHop, type Hop, isPoolHop } from '../../wire/address.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import type { WireCode } from '../../wire/native/refusal.ts';

interface Place {
  /** The node that speaks, and the one that it should have gone on to. */
  readonly at: string;
  readonly next: string;
  /** That one, if it is a pool. */
  readonly pool: string | undefined;
  /** What is asked for: the name of a file, or of a policy. */
  readonly file: string;
  readonly why: string;
}

const sentences = {
  ROUTE_LOOP: ({ at }) => `${at} is on the route twice`,
  PEER_UNRESOLVED: ({ at, next, why }) => `${at} cannot resolve the name of ${next}${why}`,
  PEER_UNREACHABLE: ({ at, next, why }) => `${at} cannot reach ${next}${why}`,
  PEER_PROTOCOL: ({ at }) => `${at} did not understand what it was sent`,
  PEER_VERSION: ({ at }) => `${at} speaks another version of the protocol`,
  POLICY_DENIED: ({ at, next }) => `${at} is not allowed to open a leg to ${next}`,
  REGISTER_DENIED: ({ at }) => `${at} takes no registration from here`,
  LIMIT_CONNECTIONS: ({ at }) => `${at} holds as many connections as it may`,
  LIMIT_HEAD: ({ at }) => `${at} takes no header as long as the one it was sent`,
  LIMIT_HOPS: ({ at }) => `${at} takes no route with as many hops`,
  LIMIT_LISTING: ({ at, file }) => `${at}, the origin, does not list as many entries as "${file}" has`,
  LIMIT_PAYLOAD: ({ at }) => `${at} takes no payload as long as the one it was sent`,
  LIMIT_LOOKUPS: ({ at, next }) => `${at} looks up too many names already to look up that of ${next}`,
  LIMIT_MEMBERS: ({ at }) => `${at} has as many servers registered as it may`,
  LIMIT_UPLOADS: ({ at, file }) => `${at}, the origin, has as many uploads as it may, and does not take "${file}"`,
  LIMIT_PROBES: ({ at }) => `${at} has as many probes as it may`,
  NODE_STOPPING: ({ at }) => `${at} is stopping`,
  POLICY_UNKNOWN: ({ at, file }) => `${at} knows no server of the policy "${file}"`,
  POOL_UNKNOWN: ({ at, pool }) => `${at} knows no pool ${pool}`,
  POOL_EMPTY: ({ at, pool, file, why }) =>
    `no ${pool ? `member of ${pool}` : `server of the policy "${file}"`} answers ${at}${why}`,
  FILE_NOT_FOUND: ({ at, file }) => `${at}, the origin, has no file "${file}"`,
  FILE_DENIED: ({ at, file, why }) => `${at}, the origin, does not serve "${file}"${why}`,
  FILE_IS_DIRECTORY: ({ at, file }) => `"${file}" is a directory at ${at}, the origin`,
  FILE_CHANGED: ({ at, file }) => `"${file}" changed at ${at}, the origin, while it was read`,
  FILE_UNREADABLE: ({ at, file, why }) => `${at}, the origin, cannot read "${file}"${why}`,
  UPLOAD_DENIED: ({ at, file, why }) => `${at}, the origin, does not take "${file}"${why || ': it takes no uploads'}`,
  HASH_MISMATCH: ({ at, file }) => `a piece of "${file}" was damaged on its way to ${at}, the origin`,
  DISK_EXISTS: ({ at, file }) => `${at}, the origin, has a file "${file}" already`,
  DISK_BUSY: ({ at, file }) => `another upload of "${file}" to ${at}, the origin, is under way`,
  DISK_FULL: ({ at, file }) => `the disk of ${at}, the origin, has no room for "${file}"`,
  DISK_FAILED: ({ at, file, why }) => `${at}, the origin, cannot write "${file}"${why}`,
  TIMEOUT_CONNECT: ({ at, next }) => `${at} got no connection to ${next} in time`,
  TIMEOUT_HEAD: ({ at }) => `${at} waited too long for a header`,
  TIMEOUT_IDLE: ({ at }) => `${at} saw no byte move for too long`,
  AUTH_REQUIRED: ({ at }) => `${at}, the origin, asks for a key, and this client showed none`,
  AUTH_DENIED: ({ at, file }) =>
    file === ''
      ? `${at} lets this client ask for nothing`
      : `${at}, the origin, does not let this client have "${file}"`,
  SECURE_FAILED: ({ at }) => `what came to ${at} was not sealed for it, or was changed on the way`,
  INTERNAL: ({ at }) => `${at} failed; its log says how`,
} as const satisfies Record<WireCode, (place: Place) => string>;

/** What nodes say themselves; all else are codes of their system. */
const reasons: Readonly<Record<string, string>> = {
  NOT_A_FILE: 'something that no file replaces stands there',
  NO_ROOT: 'it serves no files, since it was started without --root',
};

/** The error for a REFUSED that came back over `hops`. */
export function refusedError(answer: AnswerOf<'refused'>, hops: readonly Hop[], file: string): HoplineError {
  const { code, hop, reason } = answer;
  // So that a client that knows no such code takes it for a refusal all the same.
  const isAsked = code === 'POLICY_DENIED' && reason === 'AUTH_REQUIRED';
  return isAsked ? describe(reason, hop, undefined, hops, file) : describe(code, hop, reason, hops, file);
}

/** The error for the first leg, which the client itself could not open. */
export function firstLegError(error: HoplineError, hops: readonly Hop[]): HoplineError {
  if (!isWireCode(error.code)) return error;
  return describe(error.code, 0, error.reason, hops, '', error);
}

/** How hop number `place` of `hops` is called in messages; 0 is the client. */
export function nameHop(place: number, hops: readonly Hop[]): string {
  const hop = hops[place - 1];
  if (place === 0) return 'this machine';
  return hop ? `hop ${place} (${describeHop(hop)})` : `hop ${place}`;
}

function describe(
  code: WireCode,
  place: number,
  reason: string | undefined,
  hops: readonly Hop[],
  file: string,
  cause?: unknown,
): HoplineError {
  const why = reason === undefined ? '' : `: ${reasons[reason] ?? inWords(reason)}`;
  const next = hops[place];
  const pool = next && isPoolHop(next) ? formatHop(next) : undefined;
  const names = { at: nameHop(place, hops), next: nameHop(place + 1, hops), pool };
  const message = sentences[code]({ ...names, file, why });
  return new HoplineError(code, message, { hop: place, cause, ...(reason === undefined ? {} : { reason }) });
}

function isWireCode(code: ErrorCode): code is WireCode {
  return code in sentences;
}
