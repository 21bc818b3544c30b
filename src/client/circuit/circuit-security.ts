/**
 * A circuit that is encrypted up to the node of a known key: how it is opened, and what the nodes before that one may say.
 *
 * Invariant: what is said in plain is from nobody in particular: it may say which member a pool took, and that a way is
 * none, and never what is or is not at the origin, nor that the last node is at fault.
 * Documentation: docs/protocol/encryption.md#handshake
 */

import { HoplineError } from '../../core/errors.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { openSecureLeg } from '../../secure/open-secure-leg.ts';
import type { Aead } from '../../secure/records/aead.ts';
import { chooseAead } from '../../secure/records/openssl.ts';
import type { SecureLeg } from '../../secure/secure-leg.ts';
import type { Hop } from '../../wire/address.ts';
import { bad, type Decoded } from '../../wire/decoded.ts';
import type { KeyPair, PublicKey } from '../../wire/keys/key.ts';
import { type AnswerOf, decodeAnswer, encodeMessage } from '../../wire/native/messages.ts';
import type { FirstLegOptions } from './first-leg.ts';
import type { Opening } from './opening.ts';
import { noteTaken } from './opening.ts';
import { nameHop, refusedError } from './refusal-text.ts';

export interface CircuitSecurity {
  /** The key of the last node. */
  readonly remote: PublicKey;
  /** That of this client, where it has one. */
  readonly own?: KeyPair | undefined;
  readonly aead: Aead;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/** How a circuit over `hops` is encrypted, the last of which has a key. */
export function securityOf(hops: readonly Hop[], own: KeyPair | undefined): CircuitSecurity {
  const key = hops.at(-1)?.key;
  if (key === undefined) throw new HoplineError('INTERNAL', 'a circuit was to be encrypted for a node without a key');
  return { remote: key, own, aead: chooseAead(), wallClock: Date.now };
}

interface SecureOpening extends Opening {
  /** Members of pools are noted in these. */
  readonly hops: Hop[];
  readonly client: FirstLegOptions;
  readonly security: CircuitSecurity;
}

/** Sends OPEN in plain, and all else sealed; nothing is waited for. */
export function openSecurely(leg: Leg, { open, first, hops, client, security }: SecureOpening): SecureLeg {
  const { clock, limits } = client;
  const takePlain = (bytes: Buffer): Decoded<unknown> => {
    const decoded = decodeAnswer(bytes, limits.maxHeaderBytes);
    if (decoded.kind !== 'ok') return decoded;
    const { value } = decoded;
    if (value.type === 'refused') throw refusedOnTheWay(value, hops, open.hops.length, security.remote);
    if (value.type !== 'taken') return bad('SECURE_FAILED', 'an answer in plain came where a sealed one was due');
    noteTaken(value, hops);
    return decoded;
  };
  leg.cork();
  leg.post(encodeMessage(open));
  const { trace } = open;
  const { openMs: ms, maxHeaderBytes } = limits;
  const secure = openSecureLeg(leg, { ...security, trace, requests: first, clock, ms, maxHeaderBytes, takePlain });
  leg.uncork();
  return secure;
}

/** What a node says of a first message that it cannot read: made for another key, of a protocol that it does not know, or too much for it. */
const unreadCodes: ReadonlySet<string> = new Set(['SECURE_FAILED', 'PEER_PROTOCOL', 'PEER_VERSION', 'INTERNAL']);

/**
 * What only the last node can know is not taken from anybody who says it in plain. What is said in its name, the node at
 * place `last`, is anybody's word all the same: it names no hop, so it is held against this way and against no node for good.
 */
function refusedOnTheWay(
  refused: AnswerOf<'refused'>,
  hops: readonly Hop[],
  last: number,
  key: PublicKey,
): HoplineError {
  const error = refusedError(refused, hops, '');
  const { code, message, reason } = error;
  if (/^(AUTH|FILE|UPLOAD|DISK|HASH)_|^LIMIT_(LISTING|UPLOADS)$/.test(code)) {
    return new HoplineError('SECURE_FAILED', 'somebody on the way answered in place of the node that was asked');
  }
  if (refused.hop < last) return error;
  const details = { cause: error, ...(reason === undefined ? {} : { reason }) };
  if (!unreadCodes.has(code)) return new HoplineError(code, message, details);
  const others = last === 1 ? '' : ', or somebody before it says so in its name';
  const said = `${nameHop(last, hops)} did not take what was sealed for ${key.text}: it has another key or none${others}`;
  return new HoplineError('SECURE_FAILED', said, details);
}
