/**
 * The policies of a front: messages that are passed to a member of the pool of their name, and answered by it.
 *
 * Knows packets and the form that each server writes them in. Does not know
 * who is in a pool, or who asks.
 * Documentation: docs/pools.md#registration
 */

import { HoplineError } from '../../core/errors.ts';
import { BoundedMap } from '../../core/work/bounded-map.ts';
import { type Member, nameMember } from '../../pool/member.ts';
import type { SharedRegistry } from '../../pool/registry/leases.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import type { MessagePacket, SetupPacket } from '../../wire/packet/packet.ts';
import type { Form } from '../../wire/packet/packet-fields.ts';
import { answerInForm, messageInForm } from '../../wire/packet/write-packet.ts';
import type { Grant } from '../authority/grant.ts';
import type { Pools } from '../pools/pools.ts';
import { ServerConnections, type ServerConnectionsOptions } from './server-connections.ts';

export interface PoliciesOptions extends ServerConnectionsOptions {
  /** Knows how servers that registered elsewhere write. */
  readonly registry: SharedRegistry | undefined;
}

export interface PassedMessage {
  readonly bytes: Buffer;
  /** The name of the member that answered. */
  readonly server: string;
}

interface Registering {
  readonly setup: SetupPacket;
  /** Where it came from. */
  readonly host: string;
  /** What the server's key allows, where it came with one. */
  readonly grant: Grant | undefined;
}

export class Policies {
  readonly #connections: ServerConnections;
  readonly #registry: SharedRegistry | undefined;
  /** How each server that registered writes the types of packets; those that registered last. */
  readonly #forms: BoundedMap<string, Form>;

  constructor(options: PoliciesOptions) {
    this.#connections = new ServerConnections(options);
    this.#registry = options.registry;
    this.#forms = new BoundedMap({ maxCount: options.limits.maxRegistered });
  }

  /**
   * Has a message answered by a server of its policy: the bytes of the answer, in the form of the question, and who gave it.
   * Throws `POLICY_UNKNOWN`, `POOL_EMPTY`, or the signal's reason.
   */
  async pass(message: MessagePacket, pools: Pools, signal: AbortSignal): Promise<PassedMessage> {
    const policy = pools.find(message.policy);
    if (!policy) {
      throw new HoplineError(
        'POLICY_UNKNOWN',
        `no server has registered for the policy ${JSON.stringify(message.policy)}`,
      );
    }
    const attempt = async ({ hop }: Member) => {
      // Text is what all originals write that speak JSON.
      const form = this.#formOf(nameMember(hop)) ?? 'string';
      const answer = await this.#connections.ask(hop, messageInForm(message, form), signal);
      if (answer.kind === 'refusal' && answer.code === 'POLICY_UNKNOWN') {
        throw new HoplineError('POLICY_UNKNOWN', `${formatHop(hop)} does not serve the policy`);
      }
      return { bytes: answerInForm(answer, message), server: nameMember(hop) };
    };
    try {
      return await policy.pool.run(attempt, { key: message.source, signal });
    } catch (cause) {
      signal.throwIfAborted();
      throw new HoplineError('POOL_EMPTY', `no server of the policy ${JSON.stringify(message.policy)} answers`, {
        cause,
      });
    }
  }

  /** Takes a server. Throws as `Pools.register`. */
  register({ setup, host, grant }: Registering, pools: Pools): void {
    const server: Address = { host, port: setup.port };
    const { id, form, token } = setup;
    const member = pools.register(setup.policy, server, { id, form, token, grant });
    this.#forms.set(member, setup.form);
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  #formOf(server: string): Form | undefined {
    const note = this.#registry?.note(server);
    return this.#forms.get(server) ?? (note === 'number' || note === 'string' ? note : undefined);
  }
}
