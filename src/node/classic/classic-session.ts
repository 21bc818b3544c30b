/**
 * A node in the classic dialect: origin or relay for the original programs.
 *
 * Towards a server or relay that may be an original: exactly four bytes go
 * ahead, and nothing more until the content has come whole, since an original
 * that closes on unread bytes resets what it sent. Towards an original client
 * or proxy: the size is one piece, and the end of the content is the end of the stream.
 * Specification: docs/classic.md
 */

import { withDeadline } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { openServed } from '../../io/disk/reading/served-file.ts';
import { type HeadOptions, readExactly, readUntilQuiet } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { limitWrites } from '../../io/rates/limited-leg.ts';
import {
  type ClassicRequest,
  type ClassicSize,
  decodeClassicRequest,
  decodeClassicSize,
  goAhead,
  notFoundText,
  unreachableText,
} from '../../wire/classic/classic-text.ts';
import { holdReadable } from '../authority/below-rights.ts';
import { type Grant, unlimitedGrant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { reachNext } from '../relay/relay.ts';
import { servedRoot } from '../root.ts';

/** Serves one classic connection. Throws for a request that is not one, and when the peer's leg breaks. */
export async function serveClassic(near: Leg, node: NodeContext): Promise<void> {
  const { limits } = node;
  const decode = (bytes: Buffer) => decodeClassicRequest(bytes, limits.maxClassicBytes);
  const request = await readUntilQuiet(near, decode, limits.quietMs, waitMs(node, limits.headMs));
  if (request === null) return near.destroy();
  if (request.hops.length > 1) return relayFile(near, request, node);
  const grant = node.authority?.admitPlain() ?? unlimitedGrant;
  try {
    await serveFile(near, request, node, grant);
  } finally {
    grant.leave();
  }
}

async function serveFile(near: Leg, request: ClassicRequest, node: NodeContext, grant: Grant): Promise<void> {
  const rates = node.rates.open(grant.rights.limitRate);
  const ratesOf = (owner: object, bytesPerSecond: number) => node.rates.of(owner, bytesPerSecond);
  grant.hold({ reset: (reason) => near.destroy(reason), wake: () => {}, rates, ratesOf });
  grant.confirm();
  grant.checkRead(request.name);
  const root = servedRoot(node);
  const file = await openServed(root, request.name, node.limits.maxNameBytes, holdReadable(grant, root, request.name));
  try {
    node.metrics.served += 1;
    near.post(Buffer.from(String(file.size)));
    if ((await readExactly(near, goAhead.length, waitMs(node, node.limits.idleMs))) === null) return near.destroy();
    const writer = limitWrites(near, rates?.back);
    const block = Buffer.allocUnsafeSlow(node.limits.maxBlockBytes);
    for await (const part of file.blocks({ offset: 0, length: file.size }, block)) {
      await writer.write(part);
      node.metrics.moved.origin.process.back += part.length;
    }
    node.log.info({ peer: near.peer, dialect: 'classic', bytes: file.size }, 'file served');
  } catch (error) {
    // The dialect has no word for a failure in the middle: only a reset keeps the client from taking half for whole.
    near.destroy(asHoplineError(error));
    throw error;
  } finally {
    await file.close();
  }
  await finish(near, node);
}

async function relayFile(near: Leg, request: ClassicRequest, node: NodeContext): Promise<void> {
  const far = await reachOnward(near, request, node);
  if (!far) return;
  void near.closed.then(() => far.destroy());
  const { lingerMs, idleMs } = node.limits;
  let asked = false;
  try {
    far.post(request.onward);
    const answer = await receiveSize(far, near, node);
    near.post(Buffer.from(sizeText(answer)));
    if (answer.kind === 'size') {
      node.metrics.relayed += 1;
      const ahead = await readExactly(near, goAhead.length, waitMs(node, idleMs));
      asked = ahead !== null;
      if (ahead !== null) await passContent(far, near, ahead, answer.size, node);
    }
  } catch (error) {
    near.destroy(asHoplineError(error));
    far.destroy();
    throw error;
  }
  await Promise.all([asked ? finish(near, node) : near.linger(lingerMs), far.linger(lingerMs)]);
}

/** The next leg, or undefined after the client was told that there is none. */
async function reachOnward(near: Leg, request: ClassicRequest, node: NodeContext): Promise<Leg | undefined> {
  const [, next] = request.hops;
  if (!next) throw new HoplineError('INTERNAL', 'a relay needs a next hop');
  try {
    return await reachNext(near, next, node.limits.connectMs, node);
  } catch (cause) {
    noteFailure(cause, near, node);
    near.post(Buffer.from(unreachableText));
    await near.linger(node.limits.lingerMs);
    return undefined;
  }
}

/** The answer of the next hop; one that breaks before it has given any counts as out of reach. */
async function receiveSize(far: Leg, near: Leg, node: NodeContext): Promise<ClassicSize> {
  const { quietMs, openMs } = node.limits;
  try {
    const answer = await readUntilQuiet(far, decodeClassicSize, quietMs, waitMs(node, openMs));
    if (answer === null) throw new HoplineError('PEER_LOST', `${far.peer} ended the circuit without an answer`);
    return answer;
  } catch (cause) {
    noteFailure(cause, near, node);
    return { kind: 'unreachable' };
  }
}

async function passContent(far: Leg, near: Leg, ahead: Buffer, size: number, node: NodeContext): Promise<void> {
  far.post(ahead);
  const rate = node.rates.open()?.back;
  const writer = limitWrites(near, rate);
  let left = size;
  while (left > 0) {
    const chunk = await far.read(Math.min(left, rate?.burstBytes ?? left));
    if (chunk === null)
      throw new HoplineError('PEER_LOST', `${far.peer} ended ${left} bytes before the end of the file`);
    await writer.write(chunk.bytes);
    left -= chunk.bytes.length;
    node.metrics.moved.relay.process.back += chunk.bytes.length;
    chunk.release();
  }
  node.log.info({ peer: near.peer, next: far.peer, dialect: 'classic', bytes: size }, 'file relayed');
}

/**
 * Ends the near leg once the peer has, or after a linger. An original proxy that sees the end closes on what its own
 * client sent, and the reset cuts off content that is still on the way to that client.
 */
async function finish(near: Leg, node: NodeContext): Promise<void> {
  const { lingerMs } = node.limits;
  node.connections.leave(near, node.limits);
  const late = () => new HoplineError('TIMEOUT_IDLE', `${near.peer} did not end in time`);
  const deadline = { clock: node.clock, ms: lingerMs, late, outer: node.stopping };
  const ended = withDeadline(deadline, async (due) => {
    for (let chunk = await near.read(undefined, due); chunk; chunk = await near.read(undefined, due)) chunk.release();
  });
  // Late or gone: there is nobody left to spare.
  await ended.catch(() => {});
  await near.linger(lingerMs);
}

function sizeText(answer: ClassicSize): string {
  if (answer.kind === 'size') return String(answer.size);
  return answer.kind === 'not-found' ? notFoundText : unreachableText;
}

function noteFailure(cause: unknown, near: Leg, node: NodeContext): void {
  const error = asHoplineError(cause);
  node.metrics.countFailure(error.code);
  node.traffic.refused(near.peer, error);
  node.log.warn({ peer: near.peer, dialect: 'classic', code: error.code, reason: error.reason }, error.message);
}

function waitMs(node: NodeContext, ms: number): HeadOptions {
  return { clock: node.clock, ms };
}
