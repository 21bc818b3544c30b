/**
 * Pieces that are here compared with those of an origin, by their digests alone: the origin is asked for many ahead.
 *
 * Does not know where the pieces are, or what follows from one that differs.
 * Invariant: all answers are taken, also behind the last piece that anybody wants to know of: the circuit may be used for
 * something else then.
 */

import type { Limits } from '../../core/limits.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { digestsAhead } from './asking-ahead.ts';
import { PieceWindow } from './piece-window.ts';

export interface PiecesToCompare {
  /** The file that the last STATUS on the circuit was about, by its name and with its version. */
  readonly file: string;
  readonly version: string;
  /** In the order in which they are compared. */
  readonly indexes: Iterable<number>;
  readonly rangeOf: (index: number) => { readonly offset: number; readonly length: number };
  /** By the algorithm of that STATUS, in hex; undefined for a piece that there is none of. */
  readonly digestHere: (index: number) => string | undefined | Promise<string | undefined>;
  /** Told of each piece in turn; returns whether the next one is to be compared. Must not throw. @default up to the first that differs */
  readonly onCompared?: (index: number, isSame: boolean) => boolean;
}

/** Resolves to whether all that were compared are the same. Throws what the circuit fails with, and what `digestHere` does. */
export async function compareDigests(circuit: Circuit, limits: Limits, options: PiecesToCompare): Promise<boolean> {
  const { file, version, indexes, rangeOf, digestHere, onCompared = (_, isSame) => isSame } = options;
  const window = new PieceWindow<number>(limits.maxReadsAhead, limits);
  const left = indexes[Symbol.iterator]();
  let goesOn = true;
  let areSame = true;
  for (let came = 0; ; came += 1) {
    const next = (): number | undefined => (goesOn ? left.next().value : undefined);
    const ahead = window.askAhead(next, digestsAhead(came, limits));
    circuit.send(ahead.map((index) => ({ type: 'digest', ...rangeOf(index), version }) as const));
    const [index] = window.due;
    if (index === undefined) return areSame;
    const here = goesOn ? await digestHere(index) : undefined;
    const { digest } = await circuit.receive('end', file);
    window.shift();
    if (!goesOn) continue;
    areSame &&= here === digest;
    goesOn = onCompared(index, here === digest);
  }
}
