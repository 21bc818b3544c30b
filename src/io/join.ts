/**
 * Joins two legs into a tunnel: bytes pass unread in both directions until both have ended.
 *
 * Honours half-close each way. A leg that breaks or idles out ends the other at
 * once, with a reset, so that the far end never mistakes it for a clean end.
 * Invariant: at most a few blocks a direction are held; a slow reader stops the fast writer.
 */

import { asHoplineError, type HoplineError } from '../core/errors.ts';
import type { Leg } from './leg.ts';

export interface JoinResult {
  /** Bytes from the first leg to the second. */
  readonly bytesForward: number;
  /** Bytes from the second leg to the first. */
  readonly bytesBack: number;
  /** Why the tunnel broke; undefined when both directions ended cleanly. */
  readonly failure?: HoplineError;
}

/** Passes bytes between `near` and `far` until both directions have ended. Never throws. */
export async function joinLegs(near: Leg, far: Leg): Promise<JoinResult> {
  const counts = { forward: 0, back: 0 };
  let failure: HoplineError | undefined;
  const breakOff = (error: HoplineError) => {
    failure ??= error;
    near.destroy(failure);
    far.destroy(failure);
  };
  // A pump that waits for one leg does not see the other one break.
  for (const leg of [near, far]) void leg.closed.then(() => leg.failure && breakOff(leg.failure));
  const pump = async (from: Leg, to: Leg, direction: keyof typeof counts) => {
    try {
      for (let chunk = await from.read(); chunk; chunk = await from.read()) {
        await to.write(chunk.bytes);
        counts[direction] += chunk.bytes.length;
        chunk.release();
      }
      to.end();
    } catch (error) {
      breakOff(asHoplineError(error));
    }
  };
  await Promise.all([pump(near, far, 'forward'), pump(far, near, 'back')]);
  await Promise.all([near.closed, far.closed]);
  return { bytesForward: counts.forward, bytesBack: counts.back, ...(failure ? { failure } : {}) };
}
