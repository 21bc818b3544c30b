/**
 * The policies of a front: the pool of each, who may register for them, and what goes to and fro with their servers.
 *
 * Knows packets and pools; whoever asks is packets.ts's affair.
 * Documentation: docs/pools.md#registration
 */

import { HoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Algorithm } from '../pool/balance.ts';
import type { HealthRule } from '../pool/health.ts';
import { listedMembers } from '../pool/listed.ts';
import { type Member, nameMember } from '../pool/member.ts';
import { Pool } from '../pool/pool.ts';
import { RegisteredMembers } from '../pool/registered.ts';
import { type Query, resolvedMembers, systemNameServers } from '../pool/resolved.ts';
import { type Address, formatHop } from '../wire/address.ts';
import {
  answerInForm,
  encodeProbe,
  type Form,
  type MessagePacket,
  messageInForm,
  type SetupPacket,
} from '../wire/packet.ts';
import { ServerConnections, type ServerConnectionsOptions } from './server-connections.ts';

export interface PolicyOptions {
  readonly name: string;
  /** Weight is a whole number from 1, the share among members; members of a lower priority go first. @default 1 and 0 */
  readonly members?: readonly (Address & { readonly weight?: number; readonly priority?: number })[];
  /** Names and services whose addresses are members. */
  readonly dns?: readonly Query[];
  /** @default 'round-robin' */
  readonly algorithm?: Algorithm;
  readonly health?: Partial<HealthRule>;
}

export interface PoliciesOptions extends ServerConnectionsOptions {
  readonly configured: readonly PolicyOptions[];
  readonly mayRegister: (address: string) => boolean;
  /** Whether dialling this address and port would reach the node itself. */
  readonly isSelf: (address: string, port: number) => boolean;
  readonly log: Logger;
}

interface Policy {
  readonly pool: Pool;
  readonly registered: RegisteredMembers;
}

export class Policies {
  readonly #options: PoliciesOptions;
  readonly #connections: ServerConnections;
  readonly #policies = new Map<string, Policy>();
  /** How each server that registered writes the types of packets. */
  readonly #forms = new Map<string, Form>();

  constructor(options: PoliciesOptions) {
    this.#options = options;
    this.#connections = new ServerConnections(options);
    for (const policy of options.configured) this.#add(policy);
  }

  /**
   * Has a message answered by a server of its policy; the bytes of the answer, in the form of the question.
   * Throws `POLICY_UNKNOWN`, `POOL_EMPTY`, or the signal's reason.
   */
  async pass(message: MessagePacket, signal: AbortSignal): Promise<Buffer> {
    const policy = this.#policies.get(message.policy);
    if (!policy) throw new HoplineError('POLICY_UNKNOWN', 'no server has registered for the policy');
    const attempt = async ({ hop }: Member) => {
      const form = this.#forms.get(nameMember(hop)) ?? message.form;
      const answer = await this.#connections.ask(hop, messageInForm(message, form), signal);
      if (answer.kind === 'refusal' && answer.code === 'POLICY_UNKNOWN') {
        throw new HoplineError('POLICY_UNKNOWN', `${formatHop(hop)} does not serve the policy`);
      }
      return answerInForm(answer, message);
    };
    const key = message.source === undefined ? {} : { key: String(message.source) };
    try {
      return await policy.pool.run(attempt, { ...key, signal });
    } catch (cause) {
      signal.throwIfAborted();
      throw new HoplineError('POOL_EMPTY', 'no server of the policy answers', { cause });
    }
  }

  /** Takes a server that sent its setup from `address`. Throws `REGISTER_DENIED`. */
  register(setup: SetupPacket, address: string): void {
    const { isSelf, mayRegister, limits, log } = this.#options;
    if (!mayRegister(address)) throw denied(`no --register-from rule allows ${address}`);
    if (isSelf(address, setup.port)) throw denied('a node does not register with itself');
    this.#forget();
    const policy = this.#policies.get(setup.policy) ?? this.#create(setup.policy);
    const member = { hop: { host: address, port: setup.port }, weight: 1, priority: 0 };
    const name = nameMember(member.hop);
    const known = policy.pool.members().some((status) => status.name === name);
    if (!known && policy.registered.size >= limits.maxPoolMembers) {
      throw denied(`the policy has its ${limits.maxPoolMembers} servers already`);
    }
    this.#forms.set(name, setup.form);
    if (policy.registered.add(member))
      log.info({ policy: setup.policy, server: name, id: setup.id }, 'server registered');
    else policy.pool.recheck(name);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#policies.values()].map(({ pool }) => pool.close()));
    await this.#connections.close();
  }

  #create(name: string): Policy {
    const { maxPools } = this.#options.limits;
    if (this.#policies.size >= maxPools) throw denied(`the node has its ${maxPools} policies already`);
    return this.#add({ name });
  }

  #add({ name, members = [], dns = [], algorithm, health }: PolicyOptions): Policy {
    const { limits, clock, log } = this.#options;
    const registered = new RegisteredMembers();
    const listed = members.map(({ host, port, weight = 1, priority = 0 }) => ({
      hop: { host, port },
      weight,
      priority,
    }));
    const servers = systemNameServers();
    const pool = new Pool({
      name,
      sources: [
        listedMembers(listed),
        ...dns.map((query) => resolvedMembers(query, { clock, log, servers })),
        registered,
      ],
      algorithm,
      // A server of messages has nothing to warm up, and turns are exact.
      health: { slowStartMs: 0, ...health },
      probe: ({ hop }, signal) => {
        const form = this.#forms.get(nameMember(hop)) ?? 'number';
        return this.#connections.probe(hop, encodeProbe(form), signal);
      },
      maxMembers: limits.maxPoolMembers,
      maxTries: limits.maxPoolTries,
      clock,
      log,
    });
    const policy = { pool, registered };
    this.#policies.set(name, policy);
    return policy;
  }

  /** Servers that have been down for long are not waited for any more. */
  #forget(): void {
    const { limits, log } = this.#options;
    for (const [policy, { pool, registered }] of this.#policies) {
      for (const { name, downMs } of pool.members()) {
        if (downMs < limits.forgetMs || !registered.remove(name)) continue;
        this.#forms.delete(name);
        log.info({ policy, server: name }, 'server forgotten');
      }
    }
  }
}

function denied(why: string): HoplineError {
  return new HoplineError('REGISTER_DENIED', why);
}
