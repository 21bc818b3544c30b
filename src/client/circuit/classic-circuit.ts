/**
 * The client in the classic dialect: downloads from a chain of the original programs, ours among them or not.
 *
 * The dialect has sizes and no digests: what arrives is whole or it fails, but it is not verified.
 * Specification: docs/classic.md
 */

import { HoplineError } from '../../core/errors.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import { PieceBlocks } from '../../io/kernel/piece-blocks.ts';
import { readUntilQuiet } from '../../io/legs/head.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { type ClassicSize, decodeClassicSize, encodeClassicRequest, goAhead } from '../../wire/classic/classic-text.ts';
import type { Route } from '../../wire/route.ts';
import type { ClientContext } from './circuit.ts';
import { reachFirstHop } from './first-leg.ts';
import { LegIntake } from './leg-intake.ts';
import { nameHop } from './refusal-text.ts';

export class ClassicCircuit {
  readonly #leg: Leg;
  readonly #route: Route;
  readonly #intake: LegIntake;

  private constructor(leg: Leg, route: Route, client: ClientContext) {
    this.#leg = leg;
    this.#route = route;
    this.#intake = new LegIntake(leg, nameHop(1, route.hops), client);
  }

  static async open(route: Route, client: ClientContext): Promise<ClassicCircuit> {
    const request = encodeClassicRequest(route, client.limits.maxClassicBytes);
    const leg = await reachFirstHop(route.hops, client);
    leg.post(request);
    return new ClassicCircuit(leg, route, client);
  }

  /** Waits for the size. Throws `FILE_NOT_FOUND`, `PEER_UNREACHABLE`, `PEER_LOST`, `PEER_PROTOCOL`, `TIMEOUT_HEAD`. */
  async receiveSize({ limits, clock }: ClientContext): Promise<number> {
    const wait = { clock, ms: limits.openMs };
    const answer = await readUntilQuiet(this.#leg, decodeClassicSize, limits.quietMs, wait);
    return sizeOf(answer, this.#route);
  }

  /** Lets the server send and writes what comes. Throws `PEER_LOST` if it ends early, and as the target does. */
  async receiveContent(
    { size, pieceBytes }: { readonly size: number; readonly pieceBytes: number },
    target: Target,
    onBytes: (count: number) => void,
  ): Promise<void> {
    this.#leg.post(goAhead);
    const blocks = new PieceBlocks();
    for (let position = 0; position < size; position += pieceBytes) {
      const block = blocks.take(Math.min(size - position, pieceBytes));
      const count = await this.#intake.fill(block.bytes, onBytes);
      if (count < block.bytes.length) {
        const missing = `${size - position - count} of ${size} bytes before the end`;
        throw new HoplineError('PEER_LOST', `${nameHop(1, this.#route.hops)} ended the circuit ${missing}`);
      }
      await target.write({ index: position / pieceBytes, position, chunks: [block], vouched: undefined });
    }
  }

  /** Ends both ways at once: nothing of ours is still to be read, and an original proxy on the way may never end its own. */
  async close(): Promise<void> {
    this.#leg.destroy();
    await this.#leg.closed;
  }
}

function sizeOf(answer: ClassicSize | null, { file, hops }: Route): number {
  if (answer?.kind === 'size') return answer.size;
  const origin = nameHop(hops.length, hops);
  if (answer?.kind === 'not-found')
    throw new HoplineError('FILE_NOT_FOUND', `${origin}, the origin, has no file "${file}"`);
  if (answer?.kind === 'unreachable') {
    throw new HoplineError('PEER_UNREACHABLE', 'a hop of the route could not reach the next one; its log says which');
  }
  throw new HoplineError('PEER_LOST', `${nameHop(1, hops)} ended the circuit without an answer`);
}
