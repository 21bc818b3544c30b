/**
 * A node as a relay: strips itself off the route, opens the next leg, and becomes a tunnel.
 *
 * Where the next hop is a pool, a member takes its place; who that is, the client is told before any byte from there.
 * Parses nothing behind OPEN, but for another OPEN where a tunnel ends (nested-open.ts); all else is passed on as it is.
 * Where the next leg leads to no node, but to the address that a tunnel ends at,
 * it is the client that is told of it, and not the address.
 * Specification: docs/protocol/circuits.md#open
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';
import { engineFor, type JoinOptions, type JoinResult, joinLegs } from '../../io/legs/join.ts';
import { Leg } from '../../io/legs/leg.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { type DialOptions, dialFarEnd, dialLeg, type FarEnd } from '../../io/legs/open-leg.ts';
import { reach } from '../../io/names/resolve.ts';
import type { Attempt } from '../../pool/attempt.ts';
import { type Address, formatHop, type Hop, isPoolHop, type PoolHop, parseAddress } from '../../wire/address.ts';
import { encodeMessage } from '../../wire/native/messages.ts';
import { namesOf, type Open, passOpenOn } from '../../wire/native/open-message.ts';
import type { NodeContext } from '../context.ts';
import type { OpenCircuit } from '../traffic/traffic.ts';
import { passNestedOpen } from './nested-open.ts';

/** Runs one circuit through this node until both its legs are closed. Throws if the next leg cannot be opened. */
export async function relayCircuit(near: LegLike, open: Open, next: Hop, node: NodeContext): Promise<void> {
  const started = node.clock.now();
  const { hop, trace, traceId } = namesOf(open);
  const circuit = node.traffic.begin({ role: 'relay', peer: near.peer, next: formatHop(next), hop, trace, traceId });
  const leftMs = () => Math.max(1, open.deadlineMs - Math.ceil(node.clock.now() - started));
  const relaying = { near, open, leftMs, started, circuit, node };
  try {
    const failure = isPoolHop(next) ? await relayToMember(next, relaying) : await relayToNode(next, relaying);
    circuit.close(failure);
  } catch (error) {
    circuit.close(asHoplineError(error));
    throw error;
  }
}

/** One circuit on its way through here. */
interface Relaying {
  readonly near: LegLike;
  readonly open: Open;
  /** Milliseconds that it has left to reach the origin. */
  readonly leftMs: () => number;
  /** When OPEN had been read. */
  readonly started: number;
  readonly circuit: OpenCircuit;
  readonly node: NodeContext;
}

async function relayToNode(next: Address, relaying: Relaying): Promise<HoplineError | undefined> {
  const { near, open, leftMs, node } = relaying;
  const far = await reachBy(dialFor(near, node), near, next, leftMs(), node);
  const { failure } = await runTunnel(far, open.hops.slice(1), relaying);
  return failure;
}

/**
 * Opens the leg to the next hop if the access rules allow it, and gives up when the near side goes.
 * Throws as `reachHop`, `POLICY_DENIED`, or `ROUTE_LOOP` when the next hop is this node.
 */
export function reachNext(near: LegLike, next: Address, deadlineMs: number, node: NodeContext): Promise<Leg> {
  return reachBy(dialLeg, near, next, deadlineMs, node);
}

type Dial<End> = (address: string, port: number, options: DialOptions) => Promise<End>;

/** Opens what is to be joined with `near`. */
function dialFor(near: LegLike, node: NodeContext): Dial<Leg | FarEnd> {
  const engine = engineFor(near, node.join);
  return (address, port, options) => dialFarEnd(address, port, engine, options);
}

async function reachBy<End extends Leg | FarEnd>(
  dial: Dial<End>,
  near: LegLike,
  next: Address,
  deadlineMs: number,
  node: NodeContext,
): Promise<End> {
  const { signal, release } = watchNear(near, next, node);
  try {
    return await dialNext(dial, { near, next, connectMs: Math.min(node.limits.connectMs, deadlineMs), signal, node });
  } finally {
    release();
  }
}

/** As for a hop that is an address, with the member in place of the pool. Throws `POOL_UNKNOWN`, `POOL_EMPTY`. */
async function relayToMember(next: PoolHop, relaying: Relaying): Promise<HoplineError | undefined> {
  const { near, open, leftMs, node } = relaying;
  const named = node.pools.find(next.pool);
  if (!named) throw new HoplineError('POOL_UNKNOWN', `there is no pool ${formatHop(next)}`);
  const { signal, release } = watchNear(near, next, node);
  const begin = ({ member }: Attempt) => {
    const connectMs = Math.min(node.limits.answerMs, leftMs());
    return dialNext(dialFor(near, node), { near, next: member.hop, connectMs, signal, node });
  };
  const key = named.hashBy === 'file' ? open.key : hostOf(near);
  const [far, attempt] = await named.pool
    .begin(begin, { key, avoid: open.avoid, signal })
    .catch((cause) => {
      signal.throwIfAborted();
      const { reason } = asHoplineError(cause);
      const details = { cause, ...(reason === undefined ? {} : { reason }) };
      throw new HoplineError('POOL_EMPTY', `no member of ${formatHop(next)} can be reached`, details);
    })
    .finally(release);
  const { hop: member } = attempt.member;
  near.post(encodeMessage({ type: 'taken', hop: open.hop + 1, address: formatHop(member) }));
  const hops = [member, ...open.hops.slice(2)];
  const { failure, broken } = await runTunnel(far, hops, relaying);
  if (failure && broken === 'far') attempt.failed(failure);
  // That a connection was taken and passed bytes does not show that a node is behind it.
  else attempt.succeeded(false);
  return failure;
}

/** A signal that aborts when the near side goes or the node stops, until it is released. */
function watchNear(near: LegLike, next: Hop, node: NodeContext): { signal: Signal; release: () => void } {
  const gone = new OwnSignal();
  const stop = () => gone.abort(node.stopping.reason);
  if (node.stopping.aborted) stop();
  node.stopping.addEventListener('abort', stop);
  let isWatched = true;
  void near.closed.then(() => {
    if (!isWatched) return;
    gone.abort(new HoplineError('PEER_LOST', `${near.peer} left while ${formatHop(next)} was dialled`));
  });
  const release = () => {
    isWatched = false;
    node.stopping.removeEventListener('abort', stop);
  };
  return { signal: gone, release };
}

interface Dialling {
  readonly near: LegLike;
  readonly next: Address;
  /** Milliseconds for the lookup and all attempts together. */
  readonly connectMs: number;
  readonly signal: Signal;
  readonly node: NodeContext;
}

function dialNext<End extends Leg | FarEnd>(dial: Dial<End>, dialling: Dialling): Promise<End> {
  const { near, next, connectMs, signal, node } = dialling;
  const { clock, resolve, setUserTimeout } = node;
  const { idleMs, maxBlockBytes } = node.limits;
  const open = (address: string, due: Signal) =>
    dial(address, next.port, { idleMs, maxBlockBytes, setUserTimeout, signal: due });
  return reach(next, open, {
    clock,
    resolve,
    connectMs,
    signal,
    peer: hostOf(near),
    checkName: () => node.next.mayLookUp(next),
    check: (address) => {
      if (node.isSelf(address, next.port)) throw new HoplineError('ROUTE_LOOP', 'the next hop is this node itself');
      node.next.mayDial(next, address);
    },
  });
}

/** Sends OPEN on, with the `hops` that are left, and passes bytes until both legs are closed. Never throws. */
async function runTunnel(far: Leg | FarEnd, hops: readonly Hop[], relaying: Relaying): Promise<JoinResult> {
  const { near, open, leftMs, started, circuit, node } = relaying;
  const { metrics } = node;
  metrics.openSeconds.observe((node.clock.now() - started) / 1000);
  metrics.relayed += 1;
  // One literal: what is spread takes V8's slow way, and this is done for each circuit.
  const { kernel, idleMs, clock, onFallback } = node.join;
  const isEnd = open.tunnel && hops.length === 1;
  const lead = isEnd
    ? undefined
    : passOpenOn(open, { hops: hops.map(formatHop), hop: open.hop + 1, deadlineMs: leftMs() });
  const rates = node.rates.open();
  const options: JoinOptions = { kernel, idleMs, clock, onFallback, rates, lead, onJoined: circuit.goesOn };
  const result = await (isEnd
    ? joinAtEnd(far instanceof Leg ? far : far.toLeg(), relaying, options)
    : joinLegs(near, far, options));
  const { bytesForward, bytesBack, inKernel, failure } = result;
  const moved = metrics.moved.relay[inKernel ? 'kernel' : 'process'];
  moved.forward += bytesForward;
  moved.back += bytesBack;
  metrics.relaySeconds.observe((node.clock.now() - started) / 1000);
  const { hop, trace, traceId } = namesOf(open);
  const fields = { peer: near.peer, next: far.peer, hop, trace, traceId, bytesForward, bytesBack };
  if (failure) {
    metrics.countFailure(failure.code);
    node.traffic.refused(near.peer, failure);
    node.log.warn({ ...fields, code: failure.code, reason: failure.reason }, `circuit broke: ${failure.message}`);
  } else {
    // Where nothing was asked, it was looked whether the way is open: checks do so every second or two.
    const tell = bytesForward === 0 ? node.log.debug : node.log.info;
    tell.call(node.log, fields, 'circuit relayed');
  }
  return result;
}

/** Where a tunnel ends, nothing is sent on but what comes from its client. */
async function joinAtEnd(far: Leg, { near, open, node }: Relaying, options: JoinOptions): Promise<JoinResult> {
  near.post(encodeMessage({ type: 'connected' }));
  await passNestedOpen(near, far, open, node);
  return joinLegs(near, far, options);
}

function hostOf(leg: LegLike): string {
  const host = leg.address?.host;
  if (host !== undefined) return host;
  const parsed = parseAddress(leg.peer);
  return parsed.kind === 'ok' ? parsed.hop.host : leg.peer;
}
