/**
 * The circuits of one transfer: each by the best way there is, and another one when it fails.
 *
 * Owns retry, backoff and the reasons to give up. Does not know which way is best, or what is done over a circuit.
 * Invariant: a failure that another circuit cannot mend is thrown as it is.
 */

import { pause } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { eitherOf, type Signal } from '../../core/signal.ts';
import { type Hop, isPoolHop } from '../../wire/address.ts';
import type { Message } from '../../wire/native/messages.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { UnwrittenBytes } from '../pieces/unwritten-bytes.ts';
import { alongRoute } from '../trace/route-steps.ts';
import type { TransferOptions } from '../transfer.ts';
import type { Reroute, RerouteEvent } from '../transfer-events.ts';
import { enterPools } from '../ways/first-pool.ts';
import { RouteChooser, type Way, type Ways } from '../ways/route-chooser.ts';
import { Circuit, type ClientContext } from './circuit.ts';
import { securityOf } from './circuit-security.ts';
import { ClassicWatch } from './classic-hop.ts';
import { locateFailure } from './diagnose.ts';
import { membersTaken } from './opening.ts';

export interface CircuitsOptions extends Pick<TransferOptions, 'retry' | 'pools'>, Pick<Ways, 'behind'> {
  /** Must not throw. */
  readonly onEvent?: ((event: RerouteEvent) => void) | undefined;
}

const defaultRetry = 5;
/** Whoever changes what passes is asked no further questions. */
const maxForged = 3;
/** What no other circuit can mend. */
const finalCodes =
  /^(USAGE_|DISK_|FILE_IS_DIRECTORY|LIMIT_LISTING|INTERRUPTED|TIMEOUT_DEADLINE|ROUTE_SYNTAX|ROUTE_TOO_LONG)/;

export type Failed = Pick<Reroute, 'failure' | 'from'>;

export class Circuits {
  /** What has come over all of them and waits to be written. */
  readonly unwritten: UnwrittenBytes;
  readonly #client: ClientContext;
  readonly #chooser: RouteChooser;
  readonly #options: CircuitsOptions;
  #hasBegun = false;
  /** Those of the circuit that served last, with the members that were taken. */
  hops: readonly Hop[] = [];
  /** How often a circuit failed and another took its place. */
  reroutes = 0;
  #attempts = 0;
  /** The circuit that last brought something, if none failed since. */
  #progressed: Circuit | undefined;
  /** Circuits in a row, without progress, over which something came that was not what the node had sealed. */
  #forged = 0;
  /** The first way that failed because a hop of it speaks nothing but classic. */
  #classic: Failed | undefined;
  #hasGivenUp = false;

  private constructor(chooser: RouteChooser, client: ClientContext, options: CircuitsOptions) {
    this.#chooser = chooser;
    this.#client = client;
    this.unwritten = new UnwrittenBytes(client.limits.maxUnwrittenBytes);
    this.#options = options;
  }

  /** The circuits over `routes` to one place, or `behind` it, by way of members of `pools` where these are named first. Throws as `enterPools`. */
  static async over(routes: RoutePlan['routes'], client: ClientContext, options: CircuitsOptions): Promise<Circuits> {
    const entered = await enterPools(routes, options.pools, client);
    return new Circuits(new RouteChooser({ routes: entered, behind: options.behind }, client), client, options);
  }

  /**
   * Runs `work` over a circuit that starts with `requests`, and once more over another whenever one fails. Settles early
   * once `over` aborts, which ends the circuit: the work is then done by others.
   * Throws what no other circuit can mend, and the failure that was one too many.
   */
  async run(
    requests: () => readonly Message[],
    work: (circuit: Circuit) => Promise<void>,
    over: Signal = this.#client.signal,
  ): Promise<void> {
    const { signal, release } = eitherOf(this.#client.signal, over);
    try {
      await this.#runUntil(over, requests, work, { ...this.#client, signal });
    } finally {
      release();
    }
  }

  async #runUntil(
    over: Signal,
    requests: () => readonly Message[],
    work: (circuit: Circuit) => Promise<void>,
    client: ClientContext,
  ): Promise<void> {
    let failed: Failed | undefined;
    for (;;) {
      const way = this.#chooser.choose();
      if (!way) throw this.#giveUp(failed?.failure ?? new HoplineError('INTERNAL', 'there is no way to try'));
      const { hops, waitMs } = way;
      if (failed) {
        this.reroutes += 1;
        this.#options.onEvent?.({ kind: 'reroute', ...failed, to: hops, waitMs });
      }
      if (waitMs > 0) await pause(client.clock, waitMs, client.signal);
      this.#client.signal.throwIfAborted();
      if (over.aborted) return;
      failed = await this.#attempt(way, requests(), work, client);
      if (!failed) return;
    }
  }

  /** Bytes came over a circuit: the transfer has begun, and what failed before is forgiven. */
  progressed(circuit: Circuit): void {
    if (circuit === this.#progressed) return;
    this.#progressed = circuit;
    this.#hasBegun = true;
    this.#attempts = 0;
    this.#forged = 0;
    this.hops = circuit.hops;
    this.#chooser.succeeded(circuit.asked, circuit.hops);
  }

  /** The way that is left where no native one is: only before anything came, and for want of ways. */
  get classicWay(): Failed | undefined {
    // The dialect knows no pools.
    const isLeft = this.#hasGivenUp && !this.#hasBegun && this.#classic?.from.some(isPoolHop) === false;
    return isLeft ? this.#classic : undefined;
  }

  #giveUp(failure: HoplineError): HoplineError {
    this.#hasGivenUp = true;
    return failure;
  }

  /** Resolves to the failure if another attempt is due after it, and to undefined when the work is done. */
  async #attempt(
    { hops, avoid }: Way,
    requests: readonly Message[],
    work: (circuit: Circuit) => Promise<void>,
    client: ClientContext,
  ): Promise<Failed | undefined> {
    const release = this.#chooser.use(hops);
    const tunnel = this.#options.behind !== undefined;
    // What a tunnel leads to may be anything: it has no key, and nobody asks it.
    const nodesOf = (all: readonly Hop[]) => (tunnel ? all.slice(0, -1) : all);
    let circuit: Circuit | undefined;
    let watch: ClassicWatch | undefined;
    try {
      const { isKeyed } = this.#chooser;
      const began = client.clock.now();
      const security = isKeyed ? securityOf(nodesOf(hops), client.identity) : undefined;
      circuit = await Circuit.open(hops, requests, client, { tunnel, avoid, security });
      // What is asked in the classic dialect is in plain, as all that would follow.
      watch = isKeyed
        ? undefined
        : new ClassicWatch(circuit, client, { nodes: nodesOf, connectMs: client.clock.now() - began });
      circuit.onAnswered = () => watch?.close();
      await work(circuit);
      this.hops = circuit.hops;
      return undefined;
    } catch (error) {
      await circuit?.close();
      const isUnderstood = this.#hasBegun || circuit?.isAnswered === true;
      const from = circuit?.hops ?? hops;
      const judged = judge(asHoplineError(error), isUnderstood);
      const classic = await watch?.verdict(judged);
      const located = classic ?? (await locateFailure(judged, nodesOf(from), client));
      const failure = alongRoute(located, from);
      this.#client.signal.throwIfAborted();
      if (client.signal.aborted) return undefined;
      if (failure.code === 'PEER_CLASSIC') this.#classic ??= { failure, from: membersTaken(from) };
      this.#countFailure(hops, from, failure);
      return { failure, from };
    } finally {
      release();
      watch?.close();
      await circuit?.close();
    }
  }

  /** Throws the failure if no further attempt is due after it. */
  #countFailure(hops: readonly Hop[], taken: readonly Hop[], failure: HoplineError): void {
    this.#progressed = undefined;
    this.#forged = failure.code === 'SECURE_FAILED' ? this.#forged + 1 : 0;
    if (isFinal(failure) || this.#forged === maxForged) throw failure;
    this.#chooser.failed(hops, failure, taken);
    if (!this.#chooser.hasUntried()) this.#attempts += 1;
    const allowed = this.#options.retry ?? (this.#hasBegun ? defaultRetry : 0);
    if (this.#attempts > allowed) throw this.#giveUp(failure);
  }
}

/**
 * Nodes that understood this client before understand it still: what they do not understand now was damaged on its way,
 * and may come through another time. A cause says so, since a node's own word has none.
 */
function judge(error: HoplineError, isUnderstood: boolean): HoplineError {
  const { code, hop, cause, message } = error;
  if (code !== 'PEER_PROTOCOL' || !isUnderstood || hop === undefined || cause !== undefined) return error;
  return new HoplineError(code, message, { hop, cause: error });
}

/** An origin whose file is busy may only not have noticed yet that a circuit of ours broke. */
function isFinal({ code, hop }: HoplineError): boolean {
  if (code === 'INTERNAL') return hop === undefined;
  return finalCodes.test(code) && !(code === 'DISK_BUSY' && hop !== undefined);
}
