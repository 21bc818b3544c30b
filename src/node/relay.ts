/**
 * A node as a relay: strips itself off the route, opens the next leg, and becomes a tunnel.
 *
 * Parses nothing behind OPEN; what the client sent behind it is passed on as it is.
 * Where the next leg leads to no node, but to the address that a tunnel ends at,
 * it is the client that is told of it, and not the address.
 * Specification: docs/protocol.md#open
 */

import { HoplineError } from '../core/errors.ts';
import { joinLegs } from '../io/join.ts';
import type { Leg } from '../io/leg.ts';
import { reachHop } from '../io/resolve.ts';
import { type Address, formatHop, type Hop, isPoolHop } from '../wire/address.ts';
import { encodeMessage, type Message, type Open } from '../wire/messages.ts';
import type { NodeContext } from './context.ts';

/** Runs one circuit through this node until both its legs are closed. Throws if the next leg cannot be opened. */
export async function relayCircuit(near: Leg, open: Open, next: Hop, node: NodeContext): Promise<void> {
  if (isPoolHop(next)) throw new HoplineError('POOL_UNKNOWN', `there is no pool ${formatHop(next)}`);
  const started = node.clock.now();
  const far = await reachNext(near, next, open.deadlineMs, node);
  const spentMs = Math.ceil(node.clock.now() - started);
  if (open.tunnel && open.hops.length === 2) near.post(encodeMessage({ type: 'connected' }));
  else far.post(encodeMessage(passOn(open, spentMs)));
  node.metrics.relayed += 1;
  const { bytesForward, bytesBack, failure } = await joinLegs(near, far, { ...node.join, rates: node.openRates() });
  node.metrics.bytesRelayed += bytesForward + bytesBack;
  const fields = { peer: near.peer, next: far.peer, hop: open.hop, trace: open.trace, bytesForward, bytesBack };
  if (failure) {
    node.metrics.countFailure(failure.code);
    node.log.warn({ ...fields, code: failure.code, reason: failure.reason }, `circuit broke: ${failure.message}`);
  } else {
    node.log.info(fields, 'circuit relayed');
  }
}

function passOn(open: Open, spentMs: number): Message {
  const hops = open.hops.slice(1).map(formatHop);
  return { ...open, hops, hop: open.hop + 1, deadlineMs: Math.max(1, open.deadlineMs - spentMs) };
}

/**
 * Opens the leg to the next hop if the policy allows it, and gives up when the near side goes.
 * Throws as `reachHop`, `POLICY_DENIED`, or `ROUTE_LOOP` when the next hop is this node.
 */
export async function reachNext(near: Leg, next: Address, deadlineMs: number, node: NodeContext): Promise<Leg> {
  const gone = new AbortController();
  const stop = () => gone.abort(node.stopping.reason);
  if (node.stopping.aborted) stop();
  node.stopping.addEventListener('abort', stop);
  void near.closed.then(() =>
    gone.abort(new HoplineError('PEER_LOST', `${near.peer} left while ${formatHop(next)} was dialled`)),
  );
  try {
    return await reachHop(next, {
      clock: node.clock,
      resolve: node.resolve,
      connectMs: Math.min(node.limits.connectMs, deadlineMs),
      idleMs: node.limits.idleMs,
      maxBlockBytes: node.limits.maxBlockBytes,
      setUserTimeout: node.setUserTimeout,
      signal: gone.signal,
      check: (address) => {
        if (node.isSelf(address, next.port)) throw new HoplineError('ROUTE_LOOP', 'the next hop is this node itself');
        node.mayDial(next, address);
      },
    });
  } finally {
    node.stopping.removeEventListener('abort', stop);
  }
}
