/**
 * How the process itself is: CPU, memory, descriptors, and how late its event loop runs.
 *
 * Owns the measure of the loop, which runs from when it is first asked for on: where nobody looks, it costs nothing.
 */

import { readdir } from 'node:fs/promises';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

export interface Vitals {
  /** Of processor time, in user and system mode. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Undefined where the system does not say. */
  readonly openFds: number | undefined;
  /** The longest that the event loop was late by in the last second or so. */
  readonly loopLagSeconds: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

/** Milliseconds between two looks at the loop. */
const resolutionMs = 20;
/** Milliseconds that one measure of it covers at least. */
const spanMs = 900;

export class VitalSigns {
  #delay: IntervalHistogram | undefined;
  readonly #startedAt = Date.now() - process.uptime() * 1000;
  #lagSeconds = 0;
  #since = performance.now();

  async take(): Promise<Vitals> {
    const { user, system } = process.cpuUsage();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      openFds: await countDescriptors(),
      loopLagSeconds: this.#measureLag(),
      startedAt: this.#startedAt,
    };
  }

  close(): void {
    this.#delay?.disable();
  }

  /** Several who ask within a second are told the same. */
  #measureLag(): number {
    const delay = this.#delay ?? this.#startMeasure();
    const now = performance.now();
    if (now - this.#since < spanMs) return this.#lagSeconds;
    this.#since = now;
    const lateMs = delay.max / 1e6 - resolutionMs;
    delay.reset();
    this.#lagSeconds = Number.isFinite(lateMs) ? Math.max(0, lateMs) / 1000 : 0;
    return this.#lagSeconds;
  }

  #startMeasure(): IntervalHistogram {
    const delay = monitorEventLoopDelay({ resolution: resolutionMs });
    delay.enable();
    this.#delay = delay;
    this.#since = performance.now();
    return delay;
  }
}

async function countDescriptors(): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    // Less the one that reads them.
    return (await readdir('/proc/self/fd')).length - 1;
  } catch {
    return undefined;
  }
}
