/**
 * Files at the end of one set of routes, opened one after another or many at once.
 *
 * Owns what the next open file has from the ones before: the way that works, and circuits that are still open.
 * Invariant: each file has a circuit of its own, so that a slow reader holds nobody else up.
 */

import { HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { nameProblem } from '../../wire/name.ts';
import { Circuits } from '../circuit/circuits.ts';
import { KeptCircuits } from '../circuit/kept-circuits.ts';
import { startClient } from '../transfer.ts';
import { checkEnds } from '../ways/keyed-ways.ts';
import { RecentWay } from '../ways/recent-way.ts';
import type { RemoteRange } from './range-fetcher.ts';
import { openRemoteFile, type RemoteFile } from './remote-file.ts';
import { type RoutesOptions, routesNames } from './tunnels.ts';

export interface OpenRemoteOptions {
  /** What is likely to be read first: asked for along with the file itself, so that it costs no round trip more. */
  readonly ahead?: RemoteRange | undefined;
  /** What it is opened for: for the logs of nodes, if a circuit is opened for it. @default nothing that they know */
  readonly traceparent?: string | undefined;
  /** Closes the file. */
  readonly signal?: AbortSignal | undefined;
}

const openNames = { ahead: true, traceparent: true, signal: true } as const satisfies OptionNames<OpenRemoteOptions>;

export class RemoteFiles {
  readonly #options: Omit<RoutesOptions, 'deadlineMs'>;
  readonly #recent: RecentWay;
  readonly #kept: KeptCircuits;

  constructor(options: Omit<RoutesOptions, 'deadlineMs'>) {
    refuseUnknown(options, { by: 'RemoteFiles', names: routesNames });
    const { client, end } = startClient(options);
    end();
    checkEnds(options.routes);
    this.#options = options;
    this.#kept = new KeptCircuits(client.limits);
    this.#recent = new RecentWay(options.routes, client.clock, client.limits.avoidMs);
  }

  /**
   * Opens `name`, a path below the origin's root. The file must be closed.
   * Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`, and what the last way failed with, the hop named.
   */
  async open(name: string, options: OpenRemoteOptions = {}): Promise<RemoteFile> {
    refuseUnknown(options, { by: 'RemoteFiles.open', names: openNames });
    const { ahead, signal, traceparent } = options;
    const { client: started, end } = startClient({ ...this.#options, signal, traceparent });
    // As many as whoever the files are for has clients, and slow ones among them.
    const client = { ...started, maxBlockBytes: started.limits.maxBlockBytes };
    try {
      const problem = nameProblem(name, client.limits.maxNameBytes);
      if (problem !== undefined) throw new HoplineError('FILE_DENIED', problem);
      const circuits = await Circuits.over(this.#recent.routes, client, this.#options);
      const onOpen = ({ hops }: { readonly hops: Parameters<RecentWay['carried']>[0] }) => this.#recent.carried(hops);
      const file = await openRemoteFile({ name, client, circuits, kept: this.#kept, ahead, onOpen });
      return { ...file, close: () => file.close().finally(end) };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Ends the circuits that wait for a next file; files that are open stay so, and are their openers' to close. */
  close(): Promise<void> {
    return this.#kept.close();
  }
}
