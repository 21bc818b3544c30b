/**
 * A node as a server of one policy: answers messages with their SHA-1, and registers with its fronts.
 *
 * SHA-1 is what the originals answer with; it protects nothing.
 * A front is a hopline node if it answers the setup. It is told again every
 * `registerMs`, in case it was restarted; an original would count that as another server.
 * Specification: docs/protocol.md#packets
 */

import { createHash } from 'node:crypto';
import { type Clock, pause } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { readHead } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { type Resolver, reachHop } from '../../io/names/resolve.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import { createPacketDecoder, type MessagePacket } from '../../wire/packet/packet.ts';
import { encodeAnswer, encodeSetup } from '../../wire/packet/write-packet.ts';

export interface PolicyServer {
  readonly policy: string;
  /** What it is called in its answers. @default its port */
  readonly id?: string | undefined;
  /** The fronts to register with. */
  readonly register?: readonly Address[] | undefined;
  /** Where others reach it, as a shared registry tells them. @default where it listens */
  readonly advertise?: Address | undefined;
}

export interface RegisterOptions {
  /** What a front may ask for. */
  readonly token: string | undefined;
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
  // The token may change.
  const setup = () => encodeSetup(id, policy, port, options.token);
  await Promise.all(register.map((front) => registerWith(front, setup, options, signal)));
}

async function registerWith(
  front: Address,
  setup: () => Buffer,
  options: RegisterOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log, clock, limits } = options;
  const name = formatHop(front);
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const isNode = await sendSetup(front, setup(), options, signal);
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

/** Says whether the front is a hopline node. Throws as `reachHop`, or `REGISTER_DENIED`. */
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
    leg.post(setup);
    // An original front that reads on learns by the end that there is no more.
    leg.end();
    return await isAcknowledged(leg, options, signal);
  } finally {
    leg.destroy();
    await leg.closed;
  }
}

async function isAcknowledged(leg: Leg, { limits, clock }: RegisterOptions, signal: AbortSignal): Promise<boolean> {
  const decode = createPacketDecoder(limits.maxPayloadBytes);
  try {
    const packet = await readHead(leg, decode, { clock, ms: limits.lingerMs, signal });
    if (packet?.kind !== 'refusal') return packet?.kind === 'probe';
    const code = packet.code ?? 'REGISTER_DENIED';
    throw new HoplineError(code, `${leg.peer} takes no registration from here`);
  } catch (error) {
    signal.throwIfAborted();
    // An original answers nothing: it ends, resets or just keeps the connection.
    const { code } = asHoplineError(error);
    if (code === 'PEER_LOST' || code === 'TIMEOUT_HEAD') return false;
    throw error;
  }
}
