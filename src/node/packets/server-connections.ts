/**
 * Connections to the servers of policies: one message at a time on each, kept for the next for a moment.
 *
 * An original server may serve one connection until that ends, and no other
 * meanwhile. So a connection that has become free is closed after `patienceMs`
 * while another to the same server has never been answered: that one may be
 * waiting for it to end. A server that answers two at once is known to be no such.
 * Invariant: once `close()` has settled, no kept connection is left.
 * Specification: docs/protocol/packets.md
 */

import type { Clock } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { readHead } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { type Resolver, reachHop } from '../../io/names/resolve.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import { type AnswerPacket, createPacketDecoder, type RefusalPacket } from '../../wire/packet/packet.ts';

export interface ServerConnectionsOptions {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly resolve: Resolver;
}

/** Long enough for a server that serves several connections to show it. */
const patienceMs = 10;

interface Kept {
  readonly leg: Leg;
  readonly cancelEnd: () => void;
}

/** What goes to and fro with one server. */
interface Lane {
  readonly name: string;
  readonly kept: Kept[];
  /** Connections that are free, but may have to end so that the server turns to another. */
  readonly inTheWay: Kept[];
  /** Connections that wait for their first answer. */
  unanswered: number;
  /** Connections that were answered before and wait again. */
  reused: number;
  messages: number;
  /** Whether the server has answered on one connection while another was open. */
  isParallel: boolean;
}

export class ServerConnections {
  readonly #options: ServerConnectionsOptions;
  readonly #lanes = new Map<string, Lane>();
  #isClosed = false;

  constructor(options: ServerConnectionsOptions) {
    this.#options = options;
  }

  /**
   * Sends a message and waits for what the server says.
   * Throws as `reachHop` and `readHead`, `PEER_LOST` if the server ends first, or the signal's reason.
   */
  async ask(server: Address, message: Buffer, signal: AbortSignal): Promise<AnswerPacket | RefusalPacket> {
    const name = formatHop(server);
    const lane = this.#lanes.get(name) ?? newLane(name);
    this.#lanes.set(name, lane);
    lane.messages += 1;
    try {
      return (await this.#askKept(lane, message, signal)) ?? (await this.#askFresh(lane, server, message, signal));
    } catch (error) {
      // Whatever listens there from now on may be another.
      lane.isParallel = false;
      throw error;
    } finally {
      lane.messages -= 1;
      this.#tidy(lane);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const kept = [...this.#lanes.values()].flatMap((lane) => [...lane.kept.splice(0), ...lane.inTheWay.splice(0)]);
    for (const { leg, cancelEnd } of kept) {
      cancelEnd();
      leg.destroy();
    }
    await Promise.all(kept.map(({ leg }) => leg.closed));
  }

  /** Undefined if there is no connection that was kept, or the server has closed it. */
  async #askKept(lane: Lane, message: Buffer, signal: AbortSignal): Promise<AnswerPacket | RefusalPacket | undefined> {
    for (let kept = lane.kept.pop(); kept; kept = lane.kept.pop()) {
      kept.cancelEnd();
      if (!kept.leg.isQuiet) {
        kept.leg.destroy();
        continue;
      }
      lane.reused += 1;
      try {
        return await this.#exchange(lane, kept.leg, message, this.#options.limits.answerMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (asHoplineError(error).code !== 'PEER_LOST') throw error;
      } finally {
        lane.reused -= 1;
      }
    }
    return undefined;
  }

  async #askFresh(lane: Lane, server: Address, message: Buffer, signal: AbortSignal) {
    const { clock, limits } = this.#options;
    const began = clock.now();
    let isUnanswered = true;
    const settle = () => {
      if (isUnanswered) lane.unanswered -= 1;
      isUnanswered = false;
    };
    const answered = () => {
      settle();
      this.#noteAnswer(lane);
    };
    lane.unanswered += 1;
    try {
      const leg = await this.#reach(server, signal);
      const leftMs = Math.max(1, limits.answerMs - (clock.now() - began));
      return await this.#exchange(lane, leg, message, leftMs, signal, answered);
    } finally {
      settle();
    }
  }

  #reach(server: Address, signal: AbortSignal): Promise<Leg> {
    const { limits, clock, resolve } = this.#options;
    const { answerMs: connectMs, idleMs, maxBlockBytes } = limits;
    return reachHop(server, { clock, resolve, signal, connectMs, idleMs, maxBlockBytes });
  }

  async #exchange(
    lane: Lane,
    leg: Leg,
    message: Buffer,
    ms: number,
    signal: AbortSignal,
    answered: () => void = () => {},
  ): Promise<AnswerPacket | RefusalPacket> {
    const { clock, limits } = this.#options;
    const decode = createPacketDecoder(limits.maxPayloadBytes);
    try {
      leg.post(message);
      for (;;) {
        const packet = await readHead(leg, decode, { clock, ms, signal });
        if (packet === null) throw new HoplineError('PEER_LOST', `${leg.peer} ended before it answered`);
        if (packet.kind === 'blank' || packet.kind === 'probe') continue;
        if (packet.kind !== 'answer' && packet.kind !== 'refusal') {
          throw new HoplineError('PEER_PROTOCOL', `${leg.peer} sent a ${packet.kind} where an answer was due`);
        }
        answered();
        this.#keep(lane, leg);
        return packet;
      }
    } catch (error) {
      leg.destroy();
      throw error;
    }
  }

  #keep(lane: Lane, leg: Leg): void {
    if (this.#isClosed || !leg.isQuiet) {
      leg.destroy();
      return;
    }
    const isInTheWay = lane.unanswered > 0 && !lane.isParallel;
    const [list, ms] = isInTheWay ? [lane.inTheWay, patienceMs] : [lane.kept, this.#options.limits.keepMs];
    const end = () => {
      list.splice(list.indexOf(kept), 1);
      leg.destroy();
      this.#tidy(lane);
    };
    const kept: Kept = { leg, cancelEnd: this.#options.clock.after(ms, end) };
    list.push(kept);
  }

  /** A connection has its first answer: if another is open beside it, none is ever in the way. */
  #noteAnswer(lane: Lane): void {
    const open = [...lane.kept, ...lane.inTheWay].some(({ leg }) => leg.isQuiet);
    if (lane.isParallel || (!open && lane.reused === 0)) return;
    lane.isParallel = true;
    for (const { leg, cancelEnd } of lane.inTheWay.splice(0)) {
      cancelEnd();
      this.#keep(lane, leg);
    }
  }

  #tidy({ name, messages, kept, inTheWay }: Lane): void {
    if (messages + kept.length + inTheWay.length === 0) this.#lanes.delete(name);
  }
}

function newLane(name: string): Lane {
  return { name, kept: [], inTheWay: [], unanswered: 0, reused: 0, messages: 0, isParallel: false };
}
