/** What every contender offers a scenario: a chain of its servers, and the command that fetches a file through it. */

import type { Command } from '../../harness/children.ts';
import type { Fleet } from '../processes.ts';

export interface ChainRequest {
  readonly fleet: Fleet;
  /** Hops before the origin. */
  readonly relays: number;
  /** The directory whose files the origin serves. */
  readonly root: string;
  /** Given the port of a server, the port that neighbours dial instead. @default the same */
  readonly leg?: (port: number) => Promise<number>;
}

export interface Chain {
  readonly relayPids: readonly number[];
  readonly originPids: readonly number[];
  /** The hops, comma-separated, or the URL in front of the name. */
  readonly address: string;
  /** What clients need in their environment to go this way. @default nothing */
  readonly env?: Readonly<Record<string, string>>;
  fetch(name: string, output: string): Command;
}

export interface Contender {
  readonly name: string;
  /** What its clients speak: which driver measures many of them. */
  readonly speaks: 'native' | 'http' | 'ssh';
  /** Whether the client checks a digest of the bytes and syncs the file itself. */
  readonly keeps: boolean;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  start(request: ChainRequest): Promise<Chain>;
}
