/**
 * Looks at one hop of a route: who answers there, how far away, whether large segments pass, and what is wrong.
 *
 * Owns the circuits of the looks until they are closed. Does not know which hop comes next.
 * Invariant: a hop whose key is known is asked in plain only once it has not proved that key, and then only whether it is there.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { Tasks } from '../../core/work/tasks.ts';
import { loadTcpInfo } from '../../io/kernel/tcp-info.ts';
import { type Hop, hopKey, isPoolHop } from '../../wire/address.ts';
import { withoutKnownKeys } from '../../wire/keyed-hop.ts';
import type { PublicKey } from '../../wire/keys/key.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import { securityOf } from '../circuit/circuit-security.ts';
import { speaksClassic } from '../circuit/classic-hop.ts';
import { membersTaken } from '../circuit/opening.ts';
import { type AskedHop, askHop, isJustBroken, tellSilence } from './ask-hop.ts';
import { type Finding, type HopLook, roundTripsOf, type WayDirection, wayTo } from './hop-look.ts';
import {
  failureFinding,
  tellBehindClassic,
  tellBrokenOff,
  tellChanged,
  tellClassic,
  tellCrawling,
  tellLostInClassic,
  tellOld,
  tellUnmeasured,
} from './hop-words.ts';
import { measureRate, measureTrips, passesLarge, passesSmall } from './measure.ts';

export interface HopTracerOptions {
  readonly count: number;
  readonly intervalMs: number;
  readonly patienceMs: number;
  readonly wallClock: () => number;
  readonly knownKeys: ReadonlyMap<string, PublicKey>;
  /** Something came to be known. */
  readonly told: () => void;
}

interface Looking {
  /** Settles once it is known whether the hop answers. */
  readonly answered: Promise<void>;
  /** Settles once all but the rates is. Neither rejects. */
  readonly done: Promise<void>;
}

/** The requests that nodes of today answer, and earlier ones did not. */
const probing = 'probe';

export class HopTracer {
  readonly #client: ClientContext;
  readonly #options: HopTracerOptions;
  readonly #circuits = new Map<HopLook, AskedHop>();
  readonly #readTcp = loadTcpInfo();

  constructor(client: ClientContext, options: HopTracerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** `isLast`: whether files are asked for there; `avoid`: members of its pool that were looked at already. */
  look(look: HopLook, isLast: boolean, avoid: readonly Hop[] = []): Looking {
    let settle = () => {};
    const answered = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const done = this.#look(look, isLast, avoid, settle)
      .catch((error) => note(look, failureFinding(asHoplineError(error))))
      .finally(() => {
        settle();
        this.#options.told();
      });
    return { answered, done };
  }

  /** Whether the pool has taken a member again. */
  isRepeated({ hop }: HopLook, members: readonly Hop[]): boolean {
    const member = isPoolHop(hop) ? hop.member : undefined;
    return member === undefined || members.some((one) => hopKey(one) === hopKey(member));
  }

  /** Fills in how much passes, where the hop can be asked. Never throws. */
  async measureRates(look: HopLook, forMs: number): Promise<void> {
    const asked = this.#circuits.get(look);
    const tripMs = roundTripsOf(look)?.medianMs ?? 0;
    if (!asked?.pong.features?.includes(probing)) return;
    try {
      for (const direction of ['down', 'up'] as const) {
        const rate = await measureRate(asked.circuit, direction, { forMs, tripMs }, this.#client);
        look.rates = { ...look.rates, [direction]: rate };
        this.#noteTcp(look, asked);
        this.#options.told();
      }
    } catch (error) {
      this.#client.signal.throwIfAborted();
      note(look, tellUnmeasured('how much passes', asHoplineError(error)));
    }
  }

  async close(): Promise<void> {
    const closing = new Tasks();
    for (const [look, asked] of this.#circuits) {
      this.#noteTcp(look, asked);
      closing.add(asked.circuit.close());
    }
    await closing.over();
  }

  #noteTcp(look: HopLook, { circuit }: AskedHop): void {
    const descriptor = circuit.firstLeg?.descriptor;
    if (look.before || descriptor === undefined) return;
    look.tcp = this.#readTcp?.(descriptor);
  }

  async #look(look: HopLook, isLast: boolean, avoid: readonly Hop[], answers: () => void): Promise<void> {
    if (look.before?.state === 'classic') return this.#lookInClassic(look, answers);
    const asked = await this.#ask(look, avoid);
    if (!asked) return;
    const { circuit, pong, connectMs, answerMs } = asked;
    this.#circuits.set(look, asked);
    const taken = circuit.hops.at(-1);
    if (taken && isPoolHop(taken)) look.hop = { ...look.hop, ...taken };
    if (avoid.length > 0 && this.isRepeated(look, avoid)) return;
    Object.assign(look, { state: 'answers', pong, connectMs, answerMs });
    if (pong.features === undefined) note(look, tellOld(look, pong.software));
    answers();
    this.#options.told();
    await this.#measure(look, asked, isLast);
  }

  /** Resolves to nothing where the hop does not answer, which is noted. */
  async #ask(look: HopLook, avoid: readonly Hop[]): Promise<AskedHop | undefined> {
    const own = this.#keyOf(look);
    const bare = withoutKnownKeys(look.hop);
    try {
      const asked = await this.#open(look, own.key ? { ...bare, key: own.key } : bare, avoid);
      look.encrypted = own.key !== undefined;
      look.key = own.key ? own.state : asked.pong.key === undefined ? 'none' : 'new';
      return asked;
    } catch (cause) {
      const error = asHoplineError(cause);
      this.#client.signal.throwIfAborted();
      if (!own.key) return await this.#noteFailure(look, error);
      const asked =
        error.code === 'SECURE_FAILED' ? await this.#open(look, bare, avoid).catch(() => undefined) : undefined;
      if (!asked) return void note(look, this.#failed(look, error));
      look.key = 'changed';
      note(look, tellChanged(look, asked.pong.key, own.key, own.state));
      return asked;
    }
  }

  #open(look: HopLook, hop: Hop, avoid: readonly Hop[] = []): Promise<AskedHop> {
    const way = look.before ? membersTaken(wayTo(look.before)) : [];
    const security = hop.key && securityOf([hop], this.#client.identity);
    return askHop([...way, hop], this.#client, this.#options.patienceMs, { security, avoid: avoid.map(hopKey) });
  }

  /** What the hop must prove, and who says so. */
  #keyOf({ hop, before }: HopLook): { readonly key?: PublicKey; readonly state: 'pinned' | 'known' } {
    if (hop.key) return { key: hop.key, state: 'pinned' };
    const known = before || isPoolHop(hop) ? undefined : this.#options.knownKeys.get(hopKey(hop));
    return { ...(known ? { key: known } : {}), state: 'known' };
  }

  /** A hop that answers nothing may speak classic. */
  async #noteFailure(look: HopLook, error: HoplineError): Promise<undefined> {
    if (isJustBroken(error)) {
      const limits = { ...this.#client.limits, connectMs: this.#options.patienceMs };
      if (await speaksClassic(membersTaken(wayTo(look)), { ...this.#client, limits })) {
        look.state = 'classic';
        return void note(look, tellClassic(look));
      }
      this.#client.signal.throwIfAborted();
    }
    note(look, this.#failed(look, error));
  }

  async #lookInClassic(look: HopLook, answers: () => void): Promise<void> {
    const limits = { ...this.#client.limits, connectMs: this.#options.patienceMs };
    if (await speaksClassic(membersTaken(wayTo(look)), { ...this.#client, limits })) {
      look.state = 'classic';
      note(look, tellBehindClassic(look));
      answers();
    } else note(look, tellLostInClassic(look));
  }

  async #measure(look: HopLook, { circuit, pong }: AskedHop, isLast: boolean): Promise<void> {
    let best = Number.POSITIVE_INFINITY;
    try {
      await measureTrips(circuit, this.#options, this.#client, ({ ms, time, wallMs }) => {
        look.samplesMs.push(ms);
        if (time !== undefined && ms < best)
          look.clock = { offsetMs: Math.round(time - wallMs), errorMs: Math.ceil(ms / 2) };
        best = Math.min(best, ms);
        this.#options.told();
      });
      if (!pong.features?.includes(probing)) return;
      let current = circuit;
      for (const direction of ['down', 'up'] as const) current = await this.#tryLarge(look, current, direction);
    } catch (cause) {
      this.#client.signal.throwIfAborted();
      this.#noteUnmeasured(look, asHoplineError(cause), isLast);
    }
  }

  /** Resolves to the circuit to go on with: one that swallowed something is stuck. Throws what that does. */
  async #tryLarge(look: HopLook, circuit: Circuit, direction: WayDirection): Promise<Circuit> {
    if (await passesLarge(circuit, direction, this.#client)) return circuit;
    this.#circuits.delete(look);
    await circuit.close();
    const [hop = look.hop] = membersTaken([look.hop]);
    const asked = await this.#open(look, { ...withoutKnownKeys(hop), ...(look.encrypted ? this.#keyOf(look) : {}) });
    this.#circuits.set(look, asked);
    const tripMs = roundTripsOf(look)?.medianMs ?? 0;
    const isHole = await passesSmall(asked.circuit, direction, tripMs, this.#client);
    if (isHole) look.swallows.push(direction);
    else note(look, tellCrawling(look, direction));
    return asked.circuit;
  }

  /** Of somebody who may ask for nothing at a relay, circuits pass all the same. */
  #noteUnmeasured(look: HopLook, error: HoplineError, isLast: boolean): void {
    if (error.code === 'LIMIT_PROBES' || error.code === 'TIMEOUT_SLOW')
      note(look, tellUnmeasured('whether large segments pass', error));
    else if (isLast || !error.code.startsWith('AUTH_')) note(look, tellBrokenOff(look, error));
  }

  #failed(look: HopLook, error: HoplineError): Finding {
    return failureFinding(tellSilence(error, look.place, wayTo(look)));
  }
}

function note(look: HopLook, finding: Finding): void {
  if (finding.kind === 'failure' && look.state === 'asking' && look.key !== 'changed') look.state = 'fails';
  look.findings.push(finding);
}
