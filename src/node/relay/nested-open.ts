/**
 * An OPEN that a client sends through a tunnel, to the node that the tunnel leads to.
 *
 * It goes on as what it is, a part of the same circuit: with the trace of the tunnel, and with the hops before it counted.
 * So neither the hop limit nor the guard against loops begins anew.
 * Knows nothing of anything else that passes: that is not looked at beyond its first bytes.
 * Specification: docs/protocol/circuits.md#tunnels
 */

import { asHoplineError } from '../../core/errors.ts';
import { readHead } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { decodeNestedOpen, type Open, passOpenOn } from '../../wire/native/open-message.ts';
import type { NodeContext } from '../context.ts';

/** Settles once the two legs of a tunnel, to which `open` led, may be joined. Never throws: what broke a leg is found there. */
export async function passNestedOpen(near: LegLike, far: Leg, open: Open, node: NodeContext): Promise<void> {
  const { clock, limits } = node;
  if (!(await speaksFirst(near, far))) return;
  try {
    const decode = (bytes: Buffer) => decodeNestedOpen(bytes, limits.maxHeaderBytes);
    const nested = await readHead(near, decode, { clock, ms: limits.headMs });
    if (!nested) return;
    const behind = (open.behind ?? 0) + open.hop;
    far.post(passOpenOn(nested, { trace: open.trace, behind }));
  } catch (error) {
    near.destroy(asHoplineError(error));
  }
}

/** Whether bytes of `leg` come before any of `other`: behind a node there is nothing that speaks unasked. */
async function speaksFirst(leg: LegLike, other: LegLike): Promise<boolean> {
  const spoken = new AbortController();
  const look = async (one: LegLike): Promise<boolean> => {
    try {
      const chunk = await one.read(undefined, spoken.signal);
      if (chunk) one.unread(chunk);
      return chunk !== null;
    } catch {
      return false;
    } finally {
      spoken.abort();
    }
  };
  const [isFirst] = await Promise.all([look(leg), look(other)]);
  return isFirst;
}
