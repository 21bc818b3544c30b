/**
 * A node in the packet dialect: the front of its policies, and the server of one.
 *
 * Answers the packets of one connection in their order, one at a time, so a peer
 * that does not read its answers is not read from either.
 * Specification: docs/protocol/packets.md
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { asHoplineError, type ErrorCode, HoplineError } from '../../core/errors.ts';
import { createBreaks } from '../../core/work/breaks.ts';
import { readHead } from '../../io/legs/head.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import type { PlacedConnection } from '../../io/listening/places.ts';
import { parseAddress } from '../../wire/address.ts';
import {
  createPacketDecoder,
  type MessagePacket,
  type Packet,
  type PacketDecoder,
  type SetupPacket,
} from '../../wire/packet/packet.ts';
import { encodeProbe, encodeRefusal } from '../../wire/packet/write-packet.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { answerMessage } from './policy-server.ts';

export interface PacketRights {
  /** Whether the peer's address is that of whoever sends the packets. */
  readonly mayRegister: boolean;
  /** What the key of the peer allows, by which alone it registers then. @default by its address or a token */
  readonly admit?: (() => Grant) | undefined;
  /** What holds a place at the node, where the leg only stands on it. @default the leg */
  readonly place?: PlacedConnection;
}

/** Refusals of one packet that was understood: the next may fare better. */
const refusesOne: ReadonlySet<ErrorCode> = new Set([
  'POLICY_UNKNOWN',
  'POOL_EMPTY',
  'LIMIT_PAYLOAD',
  'REGISTER_DENIED',
  'AUTH_REQUIRED',
  'AUTH_DENIED',
  'LIMIT_MEMBERS',
]);

/** Serves one connection, or one circuit, until the peer ends it. Throws for what is not a packet, and for a broken leg. */
export async function servePackets(leg: LegLike, node: NodeContext, rights: PacketRights): Promise<void> {
  const { limits, log } = node;
  const { place = leg } = rights;
  const wait = { place, node, decode: createPacketDecoder(limits.maxPayloadBytes), takeBreak: createBreaks() };
  let gone: AbortSignal | undefined;
  const whenGone = () => {
    gone ??= abortsWhenClosed(leg);
    return gone;
  };
  const answeredBy = new Map<string, number>();
  // Once for the connection: to listen for each packet costs more the more connections wait.
  const stop = () => leg.interrupt(node.stopping.reason);
  node.stopping.addEventListener('abort', stop);
  try {
    for (let ms = limits.headMs; ; ms = limits.idleMs) {
      const packet = await nextPacket(leg, ms, wait);
      if (packet === null) break;
      const answer = await answerPacket(packet, leg, node, rights, whenGone);
      if (answer) await leg.write(answer.bytes);
      // A registration is work for checks and pools too: of a thousand in one go, others have their turn after each.
      if (packet.kind === 'setup') await nextTurn();
      if (answer?.server !== undefined) answeredBy.set(answer.server, (answeredBy.get(answer.server) ?? 0) + 1);
    }
  } finally {
    node.stopping.removeEventListener('abort', stop);
  }
  node.connections.leave(place, limits);
  await leg.linger(limits.lingerMs);
  await leg.closed;
  // Probes and setups come every second or two.
  const tell = answeredBy.size === 0 ? log.debug : log.info;
  const fields = { peer: leg.peer, dialect: 'packet', servers: Object.fromEntries(answeredBy) };
  tell.call(log, fields, 'packets answered');
}

interface Wait {
  readonly place: PlacedConnection;
  readonly node: NodeContext;
  readonly decode: PacketDecoder;
  readonly takeBreak: () => Promise<void> | undefined;
}

/** The next packet, or null once the peer has ended, or the node is stopping and nothing is due. */
async function nextPacket(leg: LegLike, ms: number, { place, node, decode, takeBreak }: Wait): Promise<Packet | null> {
  const beforeWait = () => {
    node.stopping.throwIfAborted();
    node.connections.rest(place);
  };
  try {
    for (;;) {
      const packet = await readHead(leg, decode, { clock: node.clock, ms, beforeWait });
      await takeBreak();
      if (packet === null || packet.kind !== 'blank') return packet;
    }
  } catch (error) {
    if (error === node.stopping.reason) return null;
    throw error;
  } finally {
    node.connections.wake(place);
  }
}

interface Answered {
  readonly bytes: Buffer;
  /** Who answered a message. */
  readonly server?: string;
}

async function answerPacket(
  packet: Packet,
  leg: LegLike,
  node: NodeContext,
  rights: PacketRights,
  whenGone: () => AbortSignal,
): Promise<Answered | undefined> {
  try {
    switch (packet.kind) {
      case 'message':
        return await answer(packet, node, whenGone);
      case 'setup':
        register(packet, leg, node, rights);
        return { bytes: encodeProbe(packet.form) };
      case 'probe':
        return undefined;
      default:
        throw new HoplineError(
          'PEER_PROTOCOL',
          `${leg.peer} sent ${packet.kind === 'answer' ? 'an answer' : 'a refusal'} unasked`,
        );
    }
  } catch (cause) {
    const error = asHoplineError(cause);
    if (!refusesOne.has(error.code)) throw error;
    node.metrics.countFailure(error.code);
    node.traffic.refused(leg.peer, error);
    const policy = 'policy' in packet ? packet.policy : undefined;
    // The pool tells when it becomes empty, and each try that failed: a line for each message would say it again.
    const tell = error.code === 'POOL_EMPTY' ? node.log.debug : node.log.warn;
    tell.call(node.log, { peer: leg.peer, dialect: 'packet', code: error.code, policy }, error.message);
    return { bytes: encodeRefusal(error, packet) };
  }
}

function abortsWhenClosed(leg: LegLike): AbortSignal {
  const gone = new AbortController();
  void leg.closed.then(() => gone.abort(new HoplineError('PEER_LOST', `${leg.peer} left before its answer`)));
  return gone.signal;
}

async function answer(message: MessagePacket, node: NodeContext, whenGone: () => AbortSignal): Promise<Answered> {
  const { limits, server, policies, pools, metrics, log } = node;
  if (Buffer.byteLength(message.payload) > limits.maxPayloadBytes) {
    throw new HoplineError('LIMIT_PAYLOAD', `a payload has at most ${limits.maxPayloadBytes} bytes`);
  }
  const isOwn = server?.policy === message.policy;
  const answered = isOwn
    ? { bytes: answerMessage(message, server.id), server: 'this node' }
    : await policies.pass(message, pools, whenGone());
  metrics.messages += 1;
  log.debug({ policy: message.policy, source: message.source, server: answered.server }, 'message answered');
  return answered;
}

function register(setup: SetupPacket, leg: LegLike, node: NodeContext, { mayRegister, admit }: PacketRights): void {
  const peer = parseAddress(leg.peer);
  if (!mayRegister || peer.kind === 'bad') {
    throw new HoplineError('REGISTER_DENIED', 'a server registers on a connection of its own');
  }
  // IPv4 that came in on a socket for both is written as IPv6.
  const host = peer.hop.host.replace(/^::ffff:(?=[\d.]+$)/i, '');
  node.policies.register({ setup, host, grant: admit?.() }, node.pools);
}
