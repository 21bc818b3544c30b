/**
 * A node as a server of one policy: answers messages with their SHA-1, and registers with its fronts.
 *
 * SHA-1 is what the originals answer with; it protects nothing.
 * A front is a hopline node if it answers the setup. It is told again every
 * `registerMs`, in case it was restarted; an original would count that as another server.
 * Specification: docs/protocol/packets.md
 */

import { createHash, randomBytes } from 'node:crypto';
import { type Clock, pause } from '../../core/clock.ts';
import { asHoplineError, type ErrorCode, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { readHead } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { type Resolver, reachHop } from '../../io/names/resolve.ts';
import { openSecureLeg } from '../../secure/open-secure-leg.ts';
import type { Aead } from '../../secure/records/aead.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import { bad, type Decoded } from '../../wire/decoded.ts';
import type { KeyPair, PublicKey } from '../../wire/keys/key.ts';
import { decodeAnswer, encodeMessage } from '../../wire/native/messages.ts';
import { createPacketDecoder, type MessagePacket } from '../../wire/packet/packet.ts';
import { encodeAnswer, encodeSetup } from '../../wire/packet/write-packet.ts';

export interface PolicyServer {
  readonly policy: string;
  /** What it is called in its answers. @default its port */
  readonly id?: string | undefined;
  /** The fronts to register with; one of a known key is asked over an encrypted circuit, by the key of this node. */
  readonly register?: readonly Address[] | undefined;
  /** Where others reach it, as a shared registry tells them. @default where it listens */
  readonly advertise?: Address | undefined;
}

export interface RegisterOptions {
  /** What a front may ask for. */
  readonly token: string | undefined;
  /** By which fronts of a known key know this node. */
  readonly security: { readonly own: KeyPair; readonly aead: Aead } | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resolve: Resolver;
  readonly log: Logger;
}

/** The answer of server `id` to a message. */
export function answerMessage(message: MessagePacket, id: string): Buffer {
  const hash = createHash('sha1').update(message.payload).digest('hex');
  return encodeAnswer(message, id, hash);
}

/** Registers with each front, and again for as long as the signal has not aborted. Settles when nothing of it is left. */
export async function keepRegistered(
  { policy, id, register = [] }: PolicyServer & { readonly id: string },
  port: number,
  options: RegisterOptions,
  signal: AbortSignal,
): Promise<void> {
  // The token may change; where there are keys it is not needed.
  const setup = ({ key }: Address) => encodeSetup(id, policy, port, key ? undefined : options.token);
  await Promise.all(register.map((front) => registerWith(front, setup, options, signal)));
}

async function registerWith(
  front: Address,
  setup: (front: Address) => Buffer,
  options: RegisterOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log, clock, limits } = options;
  const name = formatHop(front);
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const isNode = await sendSetup(front, setup(front), options, signal);
      const words = isNode
        ? 'registered'
        : 'registration sent, not confirmed: the front answers nothing, as the original ones do';
      if (told !== 'done') log.info({ front: name }, words);
      told = 'done';
      if (!isNode) return;
    } catch (error) {
      if (signal.aborted) return;
      const { code, reason, message } = asHoplineError(error);
      if (told !== code) log.warn({ front: name, code, reason }, `not registered; trying again: ${message}`);
      told = code;
    }
    await pause(clock, limits.registerMs, signal);
  }
}

/** Says whether the front is a hopline node. Throws as `reachHop`, as the front refuses, and `SECURE_FAILED`. */
async function sendSetup(
  front: Address,
  setup: Buffer,
  options: RegisterOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { limits, clock, resolve } = options;
  const { connectMs, idleMs, maxBlockBytes } = limits;
  const leg = await reachHop(front, { clock, resolve, signal, connectMs, idleMs, maxBlockBytes });
  try {
    const spoken = front.key ? encrypt(leg, front, front.key, options) : leg;
    spoken.post(setup);
    // An original front that reads on learns by the end that there is no more.
    spoken.end();
    return await isAcknowledged(spoken, front, options, signal);
  } finally {
    leg.destroy();
    await leg.closed;
  }
}

/** A circuit to the front alone, encrypted for its key, by which the front knows the server as well. */
function encrypt(leg: Leg, front: Address, remote: PublicKey, { security, limits, clock }: RegisterOptions): LegLike {
  if (!security) throw new HoplineError('KEY_INVALID', 'a server without a key cannot register by one');
  const trace = randomBytes(16).toString('hex');
  const { openMs: ms, maxHeaderBytes } = limits;
  leg.post(encodeMessage({ type: 'open', hops: [formatHop(front)], hop: 1, trace, deadlineMs: ms }));
  const takePlain = (bytes: Buffer): Decoded<never> => {
    const refused = decodeAnswer(bytes, maxHeaderBytes);
    if (refused.kind !== 'ok') return refused;
    const code = refused.value.type === 'refused' ? ` (${refused.value.code})` : '';
    return bad('SECURE_FAILED', `it was answered in plain${code}, and not by the key of the front`);
  };
  const { own, aead } = security;
  const sealing = { remote, own, aead, trace, clock, ms, maxHeaderBytes, wallClock: Date.now, takePlain };
  return openSecureLeg(leg, { ...sealing, requests: [] });
}

async function isAcknowledged(
  leg: LegLike,
  front: Address,
  { limits, clock }: RegisterOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const decode = createPacketDecoder(limits.maxPayloadBytes);
  try {
    const packet = await readHead(leg, decode, { clock, ms: limits.lingerMs, signal });
    if (packet?.kind === 'refusal') throw refusedSetup(packet.code ?? 'REGISTER_DENIED', front);
    if (front.key && packet?.kind !== 'probe') throw new HoplineError('PEER_LOST', 'the front ended without an answer');
    return packet?.kind === 'probe';
  } catch (error) {
    signal.throwIfAborted();
    // An original answers nothing: it ends, resets or just keeps the connection.
    const { code } = asHoplineError(error);
    if (!front.key && (code === 'PEER_LOST' || code === 'TIMEOUT_HEAD')) return false;
    throw error;
  }
}

function refusedSetup(code: ErrorCode, front: Address): HoplineError {
  const why = code.startsWith('AUTH_')
    ? 'its authorized keys do not let the key of this node register for the policy, or not any more'
    : 'it takes no registration from here';
  return new HoplineError(code, `${formatHop(front)}: ${why}`);
}
