/**
 * Joins two legs into a tunnel: bytes pass unread in both directions until both have ended.
 *
 * Inside the kernel where an engine is given and both legs have a descriptor,
 * through this process otherwise; nobody can tell but by the cost.
 * Honours half-close each way. A leg that breaks or idles out ends the other at
 * once, with a reset, so that the far end never mistakes it for a clean end; what the leg had said before goes first.
 * Invariant: at most a few blocks a direction are held; a slow reader stops the fast writer.
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { KernelEngine } from '../kernel/engine.ts';
import { limitWrites } from '../rates/limited-leg.ts';
import type { Rates } from '../rates/rate.ts';
import { type Detached, Leg } from './leg.ts';
import type { LegLike } from './leg-like.ts';
import type { FarEnd } from './open-leg.ts';

export interface JoinOptions {
  /** What moves the bytes inside the kernel; without it, they pass through this process. */
  readonly kernel?: KernelEngine | undefined;
  /** Milliseconds without a byte in either direction before a tunnel inside the kernel is given up; else each leg's own. */
  readonly idleMs: number;
  /** How fast bytes may pass. @default as fast as they come */
  readonly rates?: Rates | undefined;
  /** What goes to the far end first; it is neither counted nor limited. @default nothing */
  readonly lead?: Buffer | undefined;
  /** @default the system's */
  readonly clock?: Clock | undefined;
  /** Given what says, at any time, how far the tunnel is. */
  readonly onJoined?: ((progress: () => TunnelProgress) => void) | undefined;
  /** Told when an engine was given and a leg did not allow it. */
  readonly onFallback?: ((reason: string) => void) | undefined;
}

/** What has passed through a tunnel. */
export interface TunnelProgress {
  /** Bytes from the first leg to the second. */
  readonly bytesForward: number;
  /** Bytes from the second leg to the first. */
  readonly bytesBack: number;
  /** Whether they pass inside the kernel. */
  readonly inKernel: boolean;
}

export interface JoinResult extends TunnelProgress {
  /** Why the tunnel broke; undefined when both directions ended cleanly. */
  readonly failure?: HoplineError | undefined;
  /** The leg that broke, where it was one and not this machine or the time. */
  readonly broken?: 'near' | 'far' | undefined;
}

/** What could move the bytes of `near`. What stands on a leg has another form of them, which the kernel does not know. */
export function engineFor(near: LegLike, { kernel }: Pick<JoinOptions, 'kernel'>): KernelEngine | undefined {
  return near instanceof Leg ? kernel : undefined;
}

/** Passes bytes between `near` and `far` until both directions have ended. Never throws. */
export async function joinLegs(near: LegLike, far: Leg | FarEnd, options: JoinOptions): Promise<JoinResult> {
  const kernel = engineFor(near, options);
  const spliced = kernel && (await joinInKernel(near as Leg, far, kernel, options));
  if (spliced) return spliced;
  const leg = far instanceof Leg ? far : far.toLeg();
  if (options.lead) leg.post(options.lead);
  return joinHere(near, leg, options);
}

/** Hands both connections to the engine; undefined, with the legs as they were, when that cannot be. */
async function joinInKernel(
  near: Leg,
  far: Leg | FarEnd,
  kernel: KernelEngine,
  { idleMs, clock = systemClock, rates, lead, onJoined, onFallback }: JoinOptions,
): Promise<JoinResult | undefined> {
  const farLeg = far instanceof Leg ? far : undefined;
  try {
    const writes = [near.quiesce(), farLeg?.quiesce()];
    if (writes.some((write) => write)) await Promise.all(writes);
  } catch {
    return undefined;
  }
  // From here to the splice nothing may wait: a byte that arrived in between would be read by nobody.
  const nearSocket = kernel.duplicate(near.descriptor);
  const farSocket = far instanceof Leg ? kernel.duplicate(far.descriptor) : far.socket;
  if (!nearSocket || !farSocket) {
    nearSocket?.close();
    if (farLeg) farSocket?.close();
    if (!near.failure && !farLeg?.failure) onFallback?.('a connection has no descriptor of its own');
    return undefined;
  }
  const abort = (error: HoplineError) => splice.abort(error);
  const nearLeft = near.detach(abort);
  const farLeft = farLeg?.detach(abort);
  const splice = kernel.splice(
    { socket: nearSocket, peer: near.peer, head: takeHead(nearLeft), lead },
    { socket: farSocket, peer: far.peer, head: farLeft ? takeHead(farLeft) : [] },
    { clock, idleMs, rates },
  );
  const inKernel = true;
  onJoined?.(() => ({ bytesForward: splice.bytesForward, bytesBack: splice.bytesBack, inKernel }));
  const { bytesForward, bytesBack, failure, broken } = await splice.done;
  for (const left of [nearLeft, farLeft]) left?.settle(failure);
  return { bytesForward, bytesBack, inKernel, failure, broken };
}

/** The unread bytes of a detached leg; its blocks go with it, so there is nobody to release them to. */
function takeHead({ unread }: Detached): Buffer[] {
  return unread.map(({ bytes }) => bytes);
}

async function joinHere(near: LegLike, far: LegLike, { rates, onJoined }: JoinOptions): Promise<JoinResult> {
  const counts = { forward: 0, back: 0 };
  const progress = () => ({ bytesForward: counts.forward, bytesBack: counts.back, inKernel: false });
  onJoined?.(progress);
  let failure: HoplineError | undefined;
  let broken: JoinResult['broken'];
  const breakOff = (error: HoplineError, leg: LegLike) => {
    if (!failure && error.code === 'PEER_LOST') broken = leg === near ? 'near' : 'far';
    failure ??= error;
    near.destroy(failure);
    far.destroy(failure);
  };
  for (const leg of [near, far]) leg.readPastFailedWrites();
  // A pump that waits for one leg does not see the other one break.
  for (const leg of [near, far]) void leg.closed.then(() => leg.failure && breakOff(leg.failure, leg));
  const pump = async (from: LegLike, to: LegLike, direction: keyof typeof counts) => {
    const rate = rates?.[direction];
    const writer = limitWrites(to, rate);
    try {
      for (let chunk = await from.read(rate?.burstBytes); chunk; chunk = await from.read(rate?.burstBytes)) {
        await writer.write(chunk.bytes);
        counts[direction] += chunk.bytes.length;
        chunk.release();
      }
      to.end();
    } catch (error) {
      breakOff(asHoplineError(error), error === from.failure ? from : to);
    }
  };
  await Promise.all([pump(near, far, 'forward'), pump(far, near, 'back')]);
  await Promise.all([near.closed, far.closed]);
  return {
    ...progress(),
    ...(failure ? { failure } : {}),
    ...(broken ? { broken } : {}),
  };
}
