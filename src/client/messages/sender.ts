/**
 * Messages to the servers of a policy, each compared with the hash that comes back.
 *
 * One message at a time on a connection, to a front or to a server itself, or
 * over hops behind an OPEN. SHA-1 is what the originals answer with; it protects nothing.
 * Specification: docs/protocol/packets.md
 */

import { createHash } from 'node:crypto';
import { type Clock, elapsedSince, systemClock } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { defaultLimits, type Limits } from '../../core/limits.ts';
import { readHead } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import type { Resolver } from '../../io/names/resolve.ts';
import { createSystemResolver } from '../../io/names/system-resolver.ts';
import type { PoolMembers } from '../../pool/sources/sources.ts';
import type { Address, Hop } from '../../wire/address.ts';
import { bad, type Decoded } from '../../wire/decoded.ts';
import type { KeyPair } from '../../wire/keys/key.ts';
import { firstFrameByte } from '../../wire/native/frame.ts';
import { type Answer, decodeAnswer, encodeMessage } from '../../wire/native/messages.ts';
import {
  type AnswerPacket,
  type Blank,
  createPacketDecoder,
  type MessagePacket,
  type Packet,
} from '../../wire/packet/packet.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { openSecurely, securityOf } from '../circuit/circuit-security.ts';
import { ClassicWatch } from '../circuit/classic-hop.ts';
import { reachFirstHop } from '../circuit/first-leg.ts';
import { noteTaken, openingOf } from '../circuit/opening.ts';
import { nameHop, refusedError } from '../circuit/refusal-text.ts';
import { enterPools } from '../ways/first-pool.ts';

export interface SenderOptions {
  /** A front or a server, spoken to directly. Or: */
  readonly to?: Address | undefined;
  /** hops, hopline nodes all of them; the last is the front or the server, and messages are encrypted for its key if it has one. */
  readonly via?: readonly Hop[] | undefined;
  /** Those that the first hop may name. */
  readonly pools?: readonly PoolMembers[] | undefined;
  /** The key of this client, for a last hop of a known key. @default none: that node does not learn who it is */
  readonly identity?: KeyPair | undefined;
  /** By its id the logs of the hops know the messages. @default none */
  readonly traceparent?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly clock?: Clock | undefined;
  readonly resolve?: Resolver | undefined;
}

const names = {
  to: true,
  via: true,
  pools: true,
  identity: true,
  traceparent: true,
  signal: true,
  limits: true,
  clock: true,
  resolve: true,
} as const satisfies OptionNames<SenderOptions>;

export interface Delivered {
  /** The id of the server that answered, as it says. */
  readonly server: string | undefined;
  /** The SHA-1 of the payload, on both sides. */
  readonly hash: string;
  readonly elapsedMs: number;
}

export interface Sender {
  /**
   * Sends one message and waits for its answer; one at a time.
   * Throws `POLICY_UNKNOWN`, `POOL_EMPTY`, `LIMIT_PAYLOAD`, `HASH_MISMATCH`, `PEER_LOST`, `PEER_PROTOCOL`, timeouts. After
   * any but the first four it is of no more use.
   */
  send(message: MessagePacket): Promise<Delivered>;
  close(): Promise<void>;
}

/** Opens the connection. Throws as the first leg of a download does, and `USAGE_INVALID` for a key in `to`. */
export async function openSender(options: SenderOptions): Promise<Sender> {
  refuseUnknown(options, { by: 'openSender', names });
  const asked = options.via ?? (options.to ? [options.to] : []);
  if (options.to?.key) {
    throw new HoplineError(
      'USAGE_INVALID',
      'messages to a node of a known key go by `via`, with that node as the last hop',
    );
  }
  const client: ClientContext = {
    limits: { ...defaultLimits, ...options.limits },
    clock: options.clock ?? systemClock,
    resolve: options.resolve ?? createSystemResolver(),
    signal: options.signal ?? new AbortController().signal,
    traceparent: options.traceparent,
  };
  const entry = await reachEntry(asked, options.pools, client);
  const { hops } = entry;
  const isSealed = hops.at(-1)?.key !== undefined;
  const leg = options.via ? openCircuit(entry, options.identity, client) : entry.leg;
  const circuit = { hops, isAnswered: false, fail: (error: HoplineError) => leg.destroy(error) };
  let watch: ClassicWatch | undefined;
  return {
    send: async (message) => {
      const began = client.clock.now();
      leg.post(message.bytes);
      // Without an OPEN, whoever answers packets is asked as such; what is sealed is for nodes that seal their answers.
      if (options.via && !isSealed) watch ??= new ClassicWatch(circuit, client);
      const answer = await receive(leg, message, hops, client).catch(async (error) => {
        throw (await watch?.verdict(asHoplineError(error))) ?? error;
      });
      circuit.isAnswered = true;
      watch?.close();
      const hash = compare(answer, message, nameHop(hops.length, hops));
      return { server: answer.server, hash, elapsedMs: elapsedSince(client.clock, began) };
    },
    close: async () => {
      watch?.close();
      leg.destroy();
      await leg.closed;
    },
  };
}

/** Sends OPEN, behind which packets go as they are, or sealed where the last hop has a key. */
function openCircuit({ leg, hops }: EntryLeg, identity: KeyPair | undefined, client: ClientContext): LegLike {
  const security = hops.at(-1)?.key && securityOf(hops, identity);
  const opening = openingOf(hops, [], { deadlineMs: client.limits.openMs, traceparent: client.traceparent });
  if (security) return openSecurely(leg, { ...opening, hops, client, security });
  leg.post(encodeMessage(opening.open));
  return leg;
}

interface EntryLeg {
  readonly leg: Leg;
  readonly hops: Hop[];
}

/** The leg to the first hop; of a pool, to the first member that can be reached. */
async function reachEntry(
  asked: readonly Hop[],
  pools: readonly PoolMembers[] | undefined,
  client: ClientContext,
): Promise<EntryLeg> {
  const [route = []] = await enterPools([asked.map((hop) => [hop])], pools, client);
  const [first = [], ...rest] = route;
  let failure: unknown;
  for (const entry of first) {
    const hops = [entry, ...rest.flat()];
    try {
      return { leg: await reachFirstHop(hops, client), hops };
    } catch (error) {
      client.signal.throwIfAborted();
      failure ??= error;
    }
  }
  throw failure ?? new HoplineError('ROUTE_SYNTAX', 'the route has no hops');
}

async function receive(
  leg: LegLike,
  message: MessagePacket,
  hops: Hop[],
  { limits, clock }: ClientContext,
): Promise<AnswerPacket> {
  const decodePacket = createPacketDecoder(Math.max(limits.maxPayloadBytes, message.bytes.length));
  const decode = (bytes: Buffer): Decoded<Packet | Blank | Answer> => {
    if (bytes[0] === firstFrameByte) return decodeAnswer(bytes, limits.maxHeaderBytes);
    const decoded = decodePacket(bytes);
    if (decoded.kind !== 'bad') return decoded;
    return bad(decoded.error.code, `${nameHop(hops.length, hops)} sent ${decoded.error.message}`);
  };
  for (;;) {
    const received = await readHead(leg, decode, { clock, ms: limits.openMs });
    if (received === null) throw new HoplineError('PEER_LOST', `${nameHop(hops.length, hops)} ended without an answer`);
    if ('type' in received && received.type === 'taken') {
      noteTaken(received, hops);
      continue;
    }
    if ('kind' in received && (received.kind === 'blank' || received.kind === 'probe')) continue;
    return answerOf(received, hops, message);
  }
}

/** Throws what was refused, or `PEER_PROTOCOL` for what is no answer. */
function answerOf(received: Packet | Blank | Answer, hops: readonly Hop[], { policy }: MessagePacket): AnswerPacket {
  if ('type' in received) {
    if (received.type === 'refused') throw refusedError(received, hops, policy);
  } else if (received.kind === 'refusal') {
    // The originals have one reason only, and no code for it.
    const code = received.code ?? 'POLICY_UNKNOWN';
    throw refusedError({ type: 'refused', code, hop: hops.length }, hops, policy);
  } else if (received.kind === 'answer') return received;
  throw new HoplineError('PEER_PROTOCOL', `${nameHop(hops.length, hops)} sent something else where an answer was due`);
}

/** The hash that both sides have. Throws `HASH_MISMATCH` with what differs. */
function compare({ payload, destination }: AnswerPacket, message: MessagePacket, last: string): string {
  const hash = createHash('sha1').update(message.payload).digest('hex');
  const { source } = message;
  if (source !== undefined && destination !== undefined && destination !== source) {
    throw new HoplineError('HASH_MISMATCH', `${last} sent the answer of another client`);
  }
  if (payload.toLowerCase() === hash) return hash;
  // Nothing of a peer's goes to a terminal unless it is known to be harmless.
  const came = /^[0-9a-f]{40}$/i.test(payload) ? `the SHA-1 ${payload}` : 'no SHA-1';
  throw new HoplineError('HASH_MISMATCH', `${last} answered ${came}, and that of the payload is ${hash}`);
}
