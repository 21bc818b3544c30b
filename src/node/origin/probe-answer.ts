/**
 * The answer to PROBE, which measures the way to this node: takes bytes that nobody looks at, and sends some.
 *
 * They pass under the same rates as content. Does not know what is concluded from the time that they take.
 * Invariant: one probe takes bytes, memory and time that are bounded, one peer has a share of all probes alone, and after
 * `probeHoldMs` its circuit ends.
 * Specification: docs/protocol/requests.md#requests
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { Budget, limitNamed, ownerOf } from '../../core/work/budget.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { readWithin } from '../../io/rates/limited-leg.ts';
import type { RateLimit } from '../../io/rates/rate.ts';
import { encodeMessage, type RequestOf } from '../../wire/native/messages.ts';
import type { NodeContext } from '../context.ts';
import type { ContentWriter } from './content-writer.ts';
import type { Outbox } from './outbox.ts';

export interface ProbeOptions {
  readonly leg: LegLike;
  readonly node: NodeContext;
  /** Of what comes; what is sent has its own already. */
  readonly rate: RateLimit | undefined;
  readonly outbox: Outbox;
  readonly content: ContentWriter;
}

/** How many probes a node answers at once. */
export function createProbeBudget(limits: () => Limits): Budget {
  return new Budget({
    code: 'LIMIT_PROBES',
    what: 'probes at once',
    perOwner: limitNamed('maxPeerProbes', limits),
    inAll: limitNamed('maxProbes', limits),
  });
}

/** Throws `PEER_PROTOCOL` for one that asks for too much, `LIMIT_PROBES`, and what broke the leg. */
export async function answerProbe({ up, down }: RequestOf<'probe'>, options: ProbeOptions): Promise<void> {
  const { leg, node, outbox, content } = options;
  const { limits, clock, probes } = node;
  const { maxProbeBytes, probeHoldMs } = limits;
  if (up > maxProbeBytes || down > maxProbeBytes) {
    throw new HoplineError('PEER_PROTOCOL', `a PROBE is of more than ${maxProbeBytes} bytes`);
  }
  const giveBack = probes.take(ownerOf(leg.address?.host ?? leg.peer));
  const late = new HoplineError('LIMIT_PROBES', `a probe took longer than ${probeHoldMs / 1000} s (probeHoldMs)`);
  const over = new AbortController();
  const cancel = clock.after(probeHoldMs, () => {
    over.abort(late);
    leg.destroy(late);
  });
  try {
    await take(up, over.signal, options);
    await outbox.append(encodeMessage({ type: 'probed', down }));
    await content.sendZeros(down);
    await outbox.drain();
  } finally {
    cancel();
    giveBack();
  }
}

async function take(length: number, signal: AbortSignal, { leg, node, rate, outbox }: ProbeOptions): Promise<void> {
  if (length === 0) return;
  // What was answered before must not wait for these bytes.
  outbox.flush();
  const memory = Buffer.allocUnsafeSlow(Math.min(length, node.limits.maxBlockBytes));
  for (let left = length; left > 0; ) {
    const wanted = Math.min(left, memory.length);
    const count = await readWithin(rate, wanted, signal, (allowed) => leg.readInto(memory.subarray(0, allowed)));
    if (count === 0) throw new HoplineError('PEER_LOST', `${leg.peer} ended in the middle of a probe`);
    node.metrics.moved.origin.process.forward += count;
    left -= count;
  }
}
