/**
 * Several addresses of one name: the first that connects wins (RFC 8305).
 *
 * Owns the order and the pace: families alternate, and the next address is tried when the one before has failed or has
 * said nothing for a while. Does not know what a connection is, nor where addresses come from.
 * Invariant: once it has settled, of all that was begun only the winner is open.
 */

import { isIP } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';

/** Before the next address is tried beside one that says nothing. */
const patienceMs = 250;
/** Whoever owns a name decides where it leads; so many connections one lookup may cause. */
const maxAddresses = 16;

interface Destroyable {
  destroy(): unknown;
}

export interface RaceOptions<Connection extends Destroyable> {
  readonly clock: Clock;
  /** Ends all attempts; what is thrown then is its reason. */
  readonly signal: Signal;
  /** Throws for an address that must not be dialled. */
  readonly check?: ((address: string) => void) | undefined;
  /** Opens a connection. The signal means nothing any more once it is open. */
  readonly connect: (address: string, signal: Signal) => Promise<Connection>;
}

/** Throws the failure of the address that was tried first. There must be an address. */
export function connectFirst<Connection extends Destroyable>(
  addresses: readonly string[],
  { clock, signal, check, connect }: RaceOptions<Connection>,
): Promise<Connection> {
  const [only, ...others] = addresses;
  if (only !== undefined && others.length === 0) return connectOnly(only, { signal, check, connect });
  const order = alternate(addresses).slice(0, maxAddresses);
  const failures: unknown[] = [];
  const running = new Set<OwnSignal>();
  let next = 0;
  let cancelTimer = () => {};
  return new Promise((resolve, reject) => {
    let isOver = false;
    const settle = (then: () => void, reason?: unknown) => {
      isOver = true;
      cancelTimer();
      signal.removeEventListener('abort', abort);
      then();
      for (const attempt of running) attempt.abort(reason);
    };
    const abort = () => settle(() => reject(signal.reason), signal.reason);
    const failed = (index: number, error: unknown) => {
      failures[index] = error;
      if (!isOver) goOn();
    };
    const goOn = () => {
      cancelTimer();
      const index = next;
      const address = order[index];
      if (address === undefined) {
        if (running.size === 0) settle(() => reject(failures.find((failure) => failure !== undefined)));
        return;
      }
      next += 1;
      try {
        check?.(address);
      } catch (error) {
        failed(index, error);
        return;
      }
      const attempt = new OwnSignal();
      running.add(attempt);
      cancelTimer = clock.after(patienceMs, goOn);
      connect(address, attempt).then(
        (connection) => {
          running.delete(attempt);
          if (isOver) connection.destroy();
          else settle(() => resolve(connection));
        },
        (error: unknown) => {
          running.delete(attempt);
          failed(index, error);
        },
      );
    };
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    goOn();
  });
}

/** Most hops are one address, and have nobody to race with. */
async function connectOnly<Connection extends Destroyable>(
  address: string,
  { signal, check, connect }: Omit<RaceOptions<Connection>, 'clock'>,
): Promise<Connection> {
  signal.throwIfAborted();
  check?.(address);
  const connection = await connect(address, signal);
  if (!signal.aborted) return connection;
  connection.destroy();
  throw signal.reason;
}

/** The first family first, then in turn; the order within each stays. */
function alternate(addresses: readonly string[]): string[] {
  const [first] = addresses;
  // For an address, isIP says 4 without the pattern of IPv6, which takes Node as long to compile as the rest of a short transfer.
  const isFirst = (address: string) => isIP(address) === isIP(first ?? '');
  const families = [addresses.filter(isFirst), addresses.filter((address) => !isFirst(address))] as const;
  return addresses.flatMap((_, turn) => families.flatMap((family) => family[turn] ?? []));
}
