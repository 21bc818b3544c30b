/**
 * What every call of the client has in common: its options, its deadline, and the signal that ends all of it.
 *
 * Knows nothing of what is transferred.
 * Invariant: after `end` neither a timer nor a listener of the call is left.
 */

import { type Clock, systemClock } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { OptionNames } from '../core/failure/known-names.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { OwnSignal } from '../core/signal.ts';
import { openReadersLater } from '../io/kernel/engine.ts';
import { loadSetUserTimeout } from '../io/kernel/libc.ts';
import { PieceBlocks } from '../io/kernel/piece-blocks.ts';
import type { Resolver } from '../io/names/resolve.ts';
import { createSystemResolver } from '../io/names/system-resolver.ts';
import { checkRate, RateLimit } from '../io/rates/rate.ts';
import type { PoolMembers } from '../pool/sources/sources.ts';
import type { KeyPair } from '../wire/keys/key.ts';
import type { ClientContext } from './circuit/circuit.ts';

/** What every kind of transfer takes. */
export interface TransferOptions {
  /** Milliseconds for all of it. @default no deadline */
  readonly deadlineMs?: number | undefined;
  /**
   * How often a transfer that broke is taken up again without a byte in between; given, also how often one that has not
   * begun is tried again. Ways that were not tried yet are always tried. @default 5 once it has begun, 0 before
   */
  readonly retry?: number | undefined;
  /** Bytes of content a second, at least 1,024, for all circuits together. @default as many as come */
  readonly limitRate?: number | undefined;
  /**
   * Bytes of content a second, at least 1,024, that each circuit must bring on average, or it is given up
   * (`TIMEOUT_SLOW`). @default any
   */
  readonly minRate?: number | undefined;
  /** Those that a route may name at its first place; pools at later places are known to the node before them. */
  readonly pools?: readonly PoolMembers[] | undefined;
  /** The key of this client, for circuits that end at a node of a known key. @default none: the node does not learn who it is */
  readonly identity?: KeyPair | undefined;
  /**
   * `traceparent` of W3C Trace Context, by whose id the logs of all nodes know the transfer; each node can read it. What is none is not
   * sent. @default none
   */
  readonly traceparent?: string | undefined;
  /** Large pieces come straight off the connection, where the system has a way. @default true */
  readonly kernel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly clock?: Clock | undefined;
  readonly resolve?: Resolver | undefined;
}

/** By name, for the options of each kind of transfer. */
export const transferNames = {
  deadlineMs: true,
  retry: true,
  limitRate: true,
  minRate: true,
  pools: true,
  identity: true,
  traceparent: true,
  kernel: true,
  signal: true,
  limits: true,
  clock: true,
  resolve: true,
} as const satisfies OptionNames<TransferOptions>;

/** Does `work` as one call of the library. Throws a HoplineError, with an aborted signal its reason. */
export async function withClient<Result>(
  options: TransferOptions,
  work: (client: ClientContext) => Promise<Result>,
): Promise<Result> {
  const { client, end } = startClient(options);
  try {
    // As many as were needed at once may be needed again before the call is over, by whichever circuit.
    return await work({ ...client, blocks: new PieceBlocks(Number.POSITIVE_INFINITY) });
  } catch (error) {
    client.signal.throwIfAborted();
    throw asHoplineError(error);
  } finally {
    end();
  }
}

/**
 * The context of one call of the library: its signal aborts with `INTERRUPTED`, or with `TIMEOUT_DEADLINE`.
 * `end` must be called in `finally`.
 */
export function startClient({
  signal,
  limits,
  clock = systemClock,
  resolve = createSystemResolver(),
  deadlineMs,
  limitRate,
  minRate,
  identity,
  traceparent,
  kernel = true,
  openReader = kernel ? openReadersLater() : undefined,
}: TransferOptions & Pick<ClientContext, 'openReader'>): { client: ClientContext; end: () => void } {
  const rate = limitRate === undefined ? undefined : new RateLimit(limitRate, clock);
  if (minRate !== undefined) checkRate(minRate);
  if (minRate !== undefined && limitRate !== undefined && minRate > limitRate) {
    throw new HoplineError(
      'USAGE_INVALID',
      `no circuit can bring ${minRate} bytes a second under a limit of ${limitRate}`,
    );
  }
  const stop = new OwnSignal();
  const interrupt = () => {
    stop.abort(new HoplineError('INTERRUPTED', 'the transfer was interrupted', { cause: signal?.reason }));
  };
  if (signal?.aborted) interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  const late = () => stop.abort(new HoplineError('TIMEOUT_DEADLINE', `not done within ${(deadlineMs ?? 0) / 1000} s`));
  const cancel = deadlineMs === undefined ? () => {} : clock.after(deadlineMs, late);
  return {
    client: {
      limits: { ...defaultLimits, ...limits },
      clock,
      resolve,
      signal: stop,
      setUserTimeout: loadSetUserTimeout(),
      openReader,
      rate,
      minRate,
      identity,
      traceparent,
    },
    end: () => {
      cancel();
      signal?.removeEventListener('abort', interrupt);
    },
  };
}
