/**
 * A question to an origin about what it has: what it takes, and by which way the answer came.
 *
 * Does not know what is asked. Invariant: when a question is answered, no socket or timer of it is left.
 */

import { elapsedSince } from '../../core/clock.ts';
import type { OptionNames } from '../../core/failure/known-names.ts';
import type { Hop } from '../../wire/address.ts';
import type { Message } from '../../wire/native/messages.ts';
import type { RoutePlan } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import { type Proof, proofBy } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { RerouteEvent } from '../transfer-events.ts';

export interface LookOptions extends TransferOptions {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** Must not throw. */
  readonly onEvent?: ((event: RerouteEvent) => void) | undefined;
}

/** By name, for the options of each question. */
export const lookNames = { ...transferNames, routes: true, onEvent: true } as const satisfies OptionNames<LookOptions>;

/** How a question was answered. */
export interface LookResult extends Proof {
  /** The hops of the circuit that answered, each pool with the member that was taken. */
  readonly hops: readonly Hop[];
  /** How often a circuit failed and another took its place. */
  readonly reroutes: number;
  readonly elapsedMs: number;
}

/** What is asked of an origin, over one circuit after the other until there is an answer. */
export interface Question {
  /** What a circuit begins with. */
  readonly request: Message;
  answer(circuit: Circuit, circuits: Circuits, client: ClientContext): Promise<void>;
}

/** Asks, and says how it was answered. Throws what the circuits and `answer` do. */
export async function look(options: LookOptions, { request, answer }: Question): Promise<LookResult> {
  return withClient(options, async (client) => {
    const startedMs = client.clock.now();
    const circuits = await Circuits.over(options.routes, client, options);
    let proof = proofBy(undefined);
    await circuits.run(
      () => [request],
      async (circuit) => {
        proof = proofBy(circuit.key?.text);
        await answer(circuit, circuits, client);
      },
    );
    const { hops, reroutes } = circuits;
    return { ...proof, hops, reroutes, elapsedMs: elapsedSince(client.clock, startedMs) };
  });
}
