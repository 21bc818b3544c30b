/**
 * Tunnels: connections to an address behind the last node of a route.
 *
 * Owns how a tunnel comes about: by the way that carried the last tunnel, or by another way where that one fails. Does not know
 * what is said over a tunnel, and verifies nothing of it; where the last node has a key, a tunnel is encrypted up to that node.
 * Invariant: a tunnel that is returned is connected; a tunnel that cannot be opened leaves no socket behind.
 * Specification: docs/protocol/circuits.md#tunnels
 */

import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { LegStream } from '../../io/legs/leg-stream.ts';
import type { Hop } from '../../wire/address.ts';
import { Circuits } from '../circuit/circuits.ts';
import { startClient, type TransferOptions, withClient } from '../transfer.ts';
import { checkEnds } from '../ways/keyed-ways.ts';
import { RecentWay, type Routes } from '../ways/recent-way.ts';

/** What tunnels and remote files take: the ways, and what counts for each request. */
export interface RoutesOptions extends Omit<TransferOptions, 'signal' | 'limitRate' | 'minRate'> {
  /** The ways to the last node, as in a plan: at least one, with at least one place. */
  readonly routes: Routes;
}

/** By name; each of them takes those of the other along. */
export const routesNames = {
  routes: true,
  deadlineMs: true,
  retry: true,
  pools: true,
  identity: true,
  traceparent: true,
  kernel: true,
  limits: true,
  clock: true,
  resolve: true,
} as const satisfies OptionNames<RoutesOptions>;

/** A connection to an address behind the last node of a route. */
export interface TunnelStream extends Duplex {
  /** The circuit that it is, as the logs of its nodes call it. */
  readonly circuit: string;
}

export class Tunnels {
  readonly #options: RoutesOptions;
  readonly #recent: RecentWay;
  readonly #clock: Clock;

  constructor(options: RoutesOptions) {
    refuseUnknown(options, { by: 'Tunnels', names: routesNames });
    const { client, end } = startClient(options);
    end();
    checkEnds(options.routes);
    this.#options = options;
    this.#clock = client.clock;
    this.#recent = new RecentWay(options.routes, client.clock, client.limits.avoidMs);
  }

  /**
   * Opens a connection to `address`, which the last node of the route must be allowed to dial. `signal` ends the attempt,
   * `traceparent` says to the logs of nodes what it is for; a tunnel that is open is ended by destroying it. Good as the socket of Node's HTTP and TLS clients.
   * Throws what the last way failed with, the hop named; with an aborted signal, `INTERRUPTED`.
   */
  open(address: Hop, signal?: AbortSignal, traceparent?: string): Promise<TunnelStream> {
    return withClient({ ...this.#options, signal, traceparent }, async (started) => {
      const client = { ...started, maxBlockBytes: started.limits.maxBlockBytes };
      const circuits = await Circuits.over(this.#recent.routes, client, { ...this.#options, behind: address });
      let opened: { readonly leg: LegLike; readonly circuit: string } | undefined;
      await circuits.run(
        () => [],
        async (circuit) => {
          await circuit.receive('connected');
          this.#recent.carried(circuit.hops.slice(0, -1));
          opened = { leg: circuit.release(), circuit: circuit.trace };
        },
      );
      if (opened) return Object.assign(new LegStream(opened.leg, this.#clock), { circuit: opened.circuit });
      throw new HoplineError('INTERNAL', 'the tunnel ended before it was open');
    });
  }
}
