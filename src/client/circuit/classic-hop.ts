/**
 * Finds the hop that speaks the classic dialect and nothing else, on a circuit over which nothing has come back.
 *
 * Silence proves nothing: whoever is slow is silent too. What tells the two apart is that a node answers a PING before it
 * answers a classic request, for whose end it has to wait; an original answers the classic request alone. So the
 * first hop without a PONG is asked again in classic, while the circuit still waits.
 * Who is slow has much to do, and circuits are slow together: so a circuit whose first connection took long may be silent for
 * longer, the hops behind the first are asked only once that has answered, and nobody is asked any more once the circuit is
 * answered.
 * Invariant: no hop is taken for an original over which a native answer came.
 * Rules: docs/classic.md#how-our-client-notices
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { eitherOf, OwnSignal } from '../../core/signal.ts';
import type { Hop } from '../../wire/address.ts';
import { isJustBroken } from '../trace/ask-hop.ts';
import type { ClientContext } from './circuit.ts';
import { ClassicCircuit } from './classic-circuit.ts';
import { findBroken } from './diagnose.ts';
import { membersTaken } from './opening.ts';
import { nameHop } from './refusal-text.ts';

/** What is asked for: no file, so that it is not begun to be sent; whoever operates an original may see it. */
const noFile = 'hopline?';

/** A circuit that waits for its first answer. */
export interface Unanswered {
  readonly hops: readonly Hop[];
  readonly isAnswered: boolean;
  fail(error: HoplineError): void;
}

export interface ClassicWatchOptions {
  /** Those of a circuit's hops that are nodes. @default all */
  readonly nodes?: (hops: readonly Hop[]) => readonly Hop[];
  /** Milliseconds that the first leg took to open. @default next to none */
  readonly connectMs?: number;
}

/** So often as long as to connect a circuit may be silent: hundreds that open at once wait for each other, here and at the nodes. */
const connectsOfSilence = 20;

/** Looks once: when a circuit has been silent for too long, or as soon as it broke. */
export class ClassicWatch {
  readonly #circuit: Unanswered;
  readonly #nodes: (hops: readonly Hop[]) => readonly Hop[];
  readonly #client: ClientContext;
  readonly #cancel: () => void;
  /** While hops are asked. */
  #asking: OwnSignal | undefined;
  #isOver = false;
  #verdict: Promise<HoplineError | undefined> | undefined;

  constructor(
    circuit: Unanswered,
    client: ClientContext,
    { nodes = (hops) => hops, connectMs = 0 }: ClassicWatchOptions = {},
  ) {
    this.#circuit = circuit;
    this.#nodes = nodes;
    this.#client = client;
    // Whatever held the first connection up: what is asked then must still be answered within `openMs`.
    const silentMs = Math.min(client.limits.connectMs, Math.max(stepMs(client), connectsOfSilence * connectMs));
    this.#cancel = client.clock.after(silentMs, () => void this.#askAndTell());
  }

  /** `PEER_CLASSIC` if a hop of the circuit, which broke, is an original. Never throws. */
  async verdict(failure: HoplineError): Promise<HoplineError | undefined> {
    if (failure.code === 'PEER_CLASSIC') return failure;
    return isJustBroken(failure) && !this.#circuit.isAnswered ? this.#ask() : undefined;
  }

  /** Asks nobody any more. */
  close(): void {
    this.#isOver = true;
    this.#cancel();
    this.#asking?.abort();
  }

  async #askAndTell(): Promise<void> {
    if (this.#circuit.isAnswered) return;
    const error = await this.#ask();
    if (error && !this.#isOver && !this.#circuit.isAnswered) this.#circuit.fail(error);
  }

  #ask(): Promise<HoplineError | undefined> {
    if (this.#verdict) return this.#verdict;
    this.#asking = new OwnSignal();
    const { signal, release } = eitherOf(this.#client.signal, this.#asking);
    this.#verdict = findClassicHop(this.#nodes(this.#circuit.hops), { ...this.#client, signal }).finally(release);
    return this.#verdict;
  }
}

/** Of the time to connect, so that all of it fits in: to wait, to ask the first hop, then the others, and as much again to ask in classic. */
function stepMs({ limits }: ClientContext): number {
  return Math.min(limits.probeMs, limits.connectMs / 5);
}

async function findClassicHop(hops: readonly Hop[], client: ClientContext): Promise<HoplineError | undefined> {
  const ms = stepMs(client);
  const nearest = await findBroken(hops.slice(0, 1), client, { ms });
  const blamed = nearest ?? (client.signal.aborted ? undefined : await findBroken(hops, client, { ms, from: 2 }));
  if (!blamed || client.signal.aborted) return undefined;
  const { place, error } = blamed;
  if (!isJustBroken(error)) return undefined;
  if (!(await speaksClassic(membersTaken(hops.slice(0, place)), client))) return undefined;
  return new HoplineError('PEER_CLASSIC', `${nameHop(place, hops)} speaks the classic dialect only`, { hop: place });
}

/** Whether the last of `hops` answers a classic request, by whatever dialect the others pass it on. */
export async function speaksClassic(hops: readonly Hop[], client: ClientContext): Promise<boolean> {
  const { connectMs, quietMs } = client.limits;
  // Each node on the way waits twice for the end of what has no end.
  const openMs = connectMs - 3.25 * stepMs(client) + 2 * hops.length * quietMs;
  let circuit: ClassicCircuit | undefined;
  const patient = { ...client, limits: { ...client.limits, openMs } };
  const end = () => void circuit?.close();
  try {
    circuit = await ClassicCircuit.open({ file: noFile, hops }, patient);
    client.signal.addEventListener('abort', end, { once: true });
    client.signal.throwIfAborted();
    await circuit.receiveSize(patient);
    return true;
  } catch (error) {
    return asHoplineError(error).code === 'FILE_NOT_FOUND';
  } finally {
    client.signal.removeEventListener('abort', end);
    await circuit?.close();
  }
}
