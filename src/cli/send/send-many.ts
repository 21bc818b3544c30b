/** The same message many times, over several connections at once: what became of them, and how long it took. */

import { openSender, type Sender, type SenderOptions } from '../../client/messages/sender.ts';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { MessagePacket } from '../../wire/packet/packet.ts';
import { formatRows, jsonLine } from '../terminal/lines.ts';

export interface ManyOutcome {
  readonly delivered: number;
  readonly failed: number;
  /** The first one. */
  readonly failure: HoplineError | undefined;
  readonly servers: ReadonlyMap<string, number>;
  /** Milliseconds of each that was answered, the shortest first. */
  readonly times: readonly number[];
  readonly elapsedMs: number;
}

/** Failures in a row after which a connection sends no more. */
const maxFailuresInRow = 10;

/** Never throws; a connection that fails is opened anew for its next message. */
export async function sendMany(
  message: MessagePacket,
  options: SenderOptions,
  { count, concurrency }: { readonly count: number; readonly concurrency: number },
): Promise<ManyOutcome> {
  const servers = new Map<string, number>();
  const times: number[] = [];
  const failures: HoplineError[] = [];
  let left = count;
  const work = async () => {
    let sender: Sender | undefined;
    for (let inRow = 0; left > 0 && inRow < maxFailuresInRow && !options.signal?.aborted; ) {
      left -= 1;
      try {
        sender ??= await openSender(options);
        const { server = 'unnamed', elapsedMs } = await sender.send(message);
        servers.set(server, (servers.get(server) ?? 0) + 1);
        times.push(elapsedMs);
        inRow = 0;
      } catch (error) {
        failures.push(asHoplineError(error));
        inRow += 1;
        await sender?.close();
        sender = undefined;
      }
    }
    await sender?.close();
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: Math.min(count, concurrency) }, work));
  const [failure] = failures;
  times.sort((a, b) => a - b);
  return {
    delivered: times.length,
    failed: count - times.length,
    failure,
    servers,
    times,
    elapsedMs: performance.now() - began,
  };
}

export function tellMany({ delivered, failed, servers, times, elapsedMs }: ManyOutcome, json: boolean): void {
  const [p50, p99] = [0.5, 0.99].map((part) => times[Math.ceil(part * times.length) - 1] ?? 0);
  const perSecond = Math.round(delivered / (elapsedMs / 1000));
  if (json) {
    const fields = {
      event: 'done',
      delivered,
      failed,
      servers: Object.fromEntries(servers),
      perSecond,
      p50Ms: p50,
      p99Ms: p99,
    };
    process.stdout.write(jsonLine(fields));
    return;
  }
  const shares = [...servers].sort().map(([server, share]) => `${JSON.stringify(server)}: ${share}`);
  process.stdout.write(
    formatRows([
      ['delivered', `${delivered}, each with the right SHA-1`],
      ['failed', String(failed)],
      ['servers', shares.join(', ') || 'none'],
      ['rate', `${perSecond}/s`],
      ['time', `p50 ${p50?.toFixed(2)} ms, p99 ${p99?.toFixed(2)} ms`],
    ]),
  );
}
