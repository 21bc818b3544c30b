/**
 * One connection from its first byte: finds the dialect, reads the head, and hands over to relay, origin, packets or classic.
 *
 * Owns the decision and the last word: whatever goes wrong on a connection ends
 * here, is counted, logged once with the peer's address, and told to the peer.
 */

import { asHoplineError, HoplineError } from '../core/errors.ts';
import { readHead } from '../io/legs/head.ts';
import type { Leg } from '../io/legs/leg.ts';
import type { LegLike } from '../io/legs/leg-like.ts';
import { LegStream } from '../io/legs/leg-stream.ts';
import { acceptSecureLeg } from '../secure/accept-secure-leg.ts';
import { firstRecordByte } from '../secure/records/record.ts';
import type { SecureLeg } from '../secure/secure-leg.ts';
import { notFoundText } from '../wire/classic/classic-text.ts';
import { type Decoded, more, ok } from '../wire/decoded.ts';
import { type Dialect, detectDialect } from '../wire/dialect.ts';
import { decodeRequest, encodeMessage, type RequestOf, refusal } from '../wire/native/messages.ts';
import { type CircuitNames, decodeOpen, namesOf, type Open } from '../wire/native/open-message.ts';
import { encodeRefusal as encodePacketRefusal } from '../wire/packet/write-packet.ts';
import { type Grant, unlimitedGrant } from './authority/grant.ts';
import { serveClassic } from './classic/classic-session.ts';
import type { NodeContext } from './context.ts';
import { messageForLog } from './logged-failure.ts';
import type { HttpServing } from './options.ts';
import { serveOrigin } from './origin/origin.ts';
import { servePackets } from './packets/packet-session.ts';
import { relayCircuit } from './relay/relay.ts';

const pickleRefusal = 'pickle is never read, since reading one can run any program; packets are JSON';

/**
 * Serves one accepted connection to its end. Never throws.
 * With `turnedAway`, the peer gets that instead: in its own dialect and with this node's place in the route if its
 * head comes soon, and in any case.
 */
export async function serveConnection(leg: Leg, node: NodeContext, turnedAway?: HoplineError): Promise<void> {
  const { limits } = node;
  let dialect: Dialect = 'unknown';
  let open: Open | null = null;
  try {
    const detect = (bytes: Buffer) => detectDialect(bytes, limits.maxClassicBytes);
    const ms = turnedAway ? Math.min(limits.lingerMs, limits.headMs) : limits.headMs;
    const head = { clock: node.clock, ms, signal: node.stopping };
    const spoken = await readHead(leg, detect, head);
    if (spoken === null) return leg.destroy();
    dialect = spoken;
    node.metrics.countDialect(dialect);
    if (dialect === 'native') open = await readHead(leg, (bytes) => decodeOpen(bytes, limits.maxHeaderBytes), head);
    if (turnedAway) throw turnedAway;
    if (dialect !== 'native') node.connections.wake(leg);
    if (dialect === 'classic') return await serveClassic(leg, node);
    if (dialect === 'packet') return await servePackets(leg, node, { mayRegister: true });
    if (dialect === node.http?.dialect) return await handOver(leg, node.http, node);
    if (dialect !== 'native') throw new HoplineError('PEER_PROTOCOL', unserved[dialect]);
    if (open === null) return leg.destroy();
    await serveCircuit(leg, open, node);
  } catch (error) {
    await refuse(leg, turnedAway ?? error, { node, dialect, names: open ? namesOf(open) : { hop: 1 } });
  }
}

/** What whoever speaks a dialect hears where it is not served. A node with a certificate has sites, and none over plain HTTP. */
const unserved = {
  http: 'no site is served over plain HTTP here: run `hopline gateway`, or give the node sites in its configuration',
  tls: 'no site is served over TLS here: run `hopline gateway` with a certificate, or give the node sites and one',
  pickle: pickleRefusal,
  unknown: 'what came is not what a node understands',
} as const;

/** Leaves a connection to whoever serves HTTP, with all that has come over it; settles once it is closed. */
async function handOver(leg: Leg, http: HttpServing, { clock, metrics, connections }: NodeContext): Promise<void> {
  metrics.http += 1;
  leg.neverIdle();
  http.accept(new LegStream(leg, clock, { allowHalfOpen: true }), connections.activityOf(leg));
  await leg.closed;
}

interface Refused {
  readonly node: NodeContext;
  readonly dialect: Dialect;
  readonly names: CircuitNames;
  /** What holds a place at the node, where the leg only stands on it. @default the leg */
  readonly place?: Leg;
}

/** Counts and logs a failure, tells the peer in its own dialect, and closes politely. */
async function refuse(leg: LegLike, cause: unknown, refused: Refused): Promise<void> {
  const { node, dialect, names, place = leg } = refused;
  const error = asHoplineError(cause);
  node.metrics.countFailure(error.code);
  // One that asked for nothing and broke, such as a check of a port, was not refused.
  if (dialect !== 'unknown' || error.code !== 'PEER_LOST') node.traffic.refused(leg.peer, error);
  const log = error.code === 'INTERNAL' ? node.log.error : node.log.warn;
  const isSealed = leg !== place;
  const message = messageForLog(error, isSealed);
  log.call(node.log, { peer: leg.peer, dialect, code: error.code, reason: error.reason, ...names }, message);
  // A connection that broke is told by its end alone: no code stands for it on the wire, and INTERNAL would be another failure.
  if (error.code !== 'PEER_LOST') leg.post(encodeRefusal(isSealed ? error : inPlain(error), dialect, names.hop));
  node.connections.leave(place, node.limits);
  await leg.linger(node.limits.lingerMs);
  await leg.closed;
}

async function serveCircuit(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  checkHops(open, node);
  if (node.traces.has(open.trace)) throw new HoplineError('ROUTE_LOOP', 'the circuit comes through this node twice');
  node.traces.add(open.trace);
  try {
    const [, next] = open.hops;
    if (next) {
      node.connections.wake(leg);
      await relayCircuit(leg, open, next, node);
    } else if (open.tunnel) throw new HoplineError('PEER_PROTOCOL', 'a tunnel leads to an address behind this node');
    else await serveAtEnd(leg, open, node);
  } finally {
    node.traces.delete(open.trace);
  }
}

/** Throws `LIMIT_HOPS` for a route of more hops than this node takes. */
function checkHops({ behind = 0, hop, hops }: Open, { limits }: NodeContext): void {
  if (behind + hop + hops.length - 1 <= limits.maxHops) return;
  throw new HoplineError('LIMIT_HOPS', `the route has more than ${limits.maxHops} hops`);
}

/** What follows OPEN where no hops are left: packets, records of a secure circuit, or requests. */
async function serveAtEnd(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  const look = (bytes: Buffer) => ok(bytes[0], 0);
  const first = await readHead(leg, look, { clock: node.clock, ms: node.limits.idleMs });
  if (first === 0x7b) await servePackets(leg, node, { mayRegister: false });
  else if (first === firstRecordByte) await serveSecurely(leg, open, node);
  // What ends before its first byte is left to the origin.
  else await serveInPlain(leg, open, node);
}

async function serveInPlain(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  const grant = node.authority?.admitPlain() ?? unlimitedGrant;
  const served = serveOrigin(leg, open, { node, grant });
  // Nobody else can say that it is there: the bytes have come from where answers go.
  grant.confirm();
  await served;
}

/** From the handshake on, all that the client is told is sealed, refusals too. */
async function serveSecurely(leg: Leg, open: Open, node: NodeContext): Promise<void> {
  const { security, clock, limits, metrics, stopping: signal } = node;
  if (!security) throw new HoplineError('PEER_PROTOCOL', 'the client asks for encryption, and this node has no key');
  node.connections.wake(leg);
  const { headMs: ms, maxHeaderBytes, pieceBytes: unconfirmedBytes, maxUnconfirmedBytes } = limits;
  const options = { ...security, trace: open.trace, clock, ms, maxHeaderBytes, unconfirmedBytes, signal };
  const {
    leg: secure,
    key,
    isEarly,
  } = await acceptSecureLeg(leg, options).catch((error) => {
    metrics.handshakes.failed += 1;
    throw error;
  });
  let isConfirmed = false;
  const confirmed = secure.confirmed.then(() => {
    isConfirmed = true;
  });
  try {
    const purpose = await readPurpose(secure, leg, node);
    const grant = purpose === 'requests' && node.authority ? node.authority.admit(key) : unlimitedGrant;
    metrics.handshakes[grant.isRefused ? 'denied' : isEarly ? 'ok' : 'replayed'] += 1;
    if (purpose === 'packets') {
      // Behind a relay the address is not the server's.
      const mayRegister = open.hop === 1 && (open.behind ?? 0) === 0;
      const admit = () => node.authority?.admit(key) ?? unlimitedGrant;
      return await servePackets(secure, node, { mayRegister, admit, place: leg });
    }
    if (purpose !== 'requests') return await serveTunnel(secure, open, purpose, node);
    metrics.servedSecurely += 1;
    // A recorded first message brings no more than it asked for when it was new. What is counted, a key gets once it is confirmed.
    if (!isCounted(grant)) secure.allowUnconfirmed(Math.max(0, maxUnconfirmedBytes - unconfirmedBytes));
    const served = serveOrigin(secure, open, { node, grant, place: leg });
    // A first request that came behind the confirmation is already one of the key's circuits.
    if (isConfirmed && !secure.failure) grant.confirm();
    else void confirmed.then(() => secure.failure || grant.confirm());
    await served;
  } catch (error) {
    await refuse(secure, error, { node, dialect: 'native', names: namesOf(open), place: leg });
  }
}

/** Whether circuits, or what passes on them, are counted against the client. */
function isCounted({ rights }: Grant): boolean {
  return rights.limitRate !== undefined || rights.maxCircuits !== undefined;
}

type Purpose = 'packets' | 'requests' | RequestOf<'connect'>;

/** What a secure circuit is for, by the first that comes over it; of that, CONNECT alone is used up. */
async function readPurpose(secure: SecureLeg, place: Leg, node: NodeContext): Promise<Purpose> {
  const { clock, limits, connections, stopping: signal } = node;
  const decode = (bytes: Buffer): Decoded<Purpose> => {
    if (bytes[0] === 0x7b) return ok('packets', 0);
    const request = decodeRequest(bytes, limits.maxHeaderBytes);
    if (request.kind === 'more') return more;
    const isConnect = request.kind === 'ok' && request.value.type === 'connect';
    return isConnect ? ok(request.value, request.used) : ok('requests', 0);
  };
  const beforeWait = () => connections.rest(place);
  const purpose = await readHead(secure, decode, { clock, ms: limits.idleMs, signal, beforeWait });
  connections.wake(place);
  // What ends before its first byte is left to the origin.
  return purpose ?? 'requests';
}

/** As the last node of a tunnel that OPEN asks for; nobody on the way learns where it leads. */
async function serveTunnel(near: SecureLeg, open: Open, { address }: RequestOf<'connect'>, node: NodeContext) {
  const tunnel = { ...open, hops: [...open.hops, address], tunnel: true };
  checkHops(tunnel, node);
  await relayCircuit(near, tunnel, address, node);
}

/** A client that does not encrypt may know no such code. */
function inPlain(error: HoplineError): HoplineError {
  if (error.code !== 'AUTH_REQUIRED') return error;
  return new HoplineError('POLICY_DENIED', error.message, { reason: 'AUTH_REQUIRED' });
}

function encodeRefusal(error: HoplineError, dialect: Dialect, hop: number): Buffer {
  switch (dialect) {
    case 'classic':
      return Buffer.from(notFoundText);
    case 'packet':
      return encodePacketRefusal(error);
    case 'http': {
      const body = `hopline: ${error.message}\n`;
      const head = ['HTTP/1.1 501 Not Implemented', 'Content-Type: text/plain', `Content-Length: ${body.length}`];
      return Buffer.from([...head, 'Connection: close', '', body].join('\r\n'));
    }
    default:
      return encodeMessage(refusal(error, hop));
  }
}
