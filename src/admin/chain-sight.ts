/**
 * A chain of nodes with a file on its way through it, as the page shows it that is open over all of them.
 *
 * Plain values, of one moment. Speeds are made of two looks by whoever looks.
 */

export interface ChainSight {
  readonly file: FileSight;
  /** By their places in the route, the client's side first; nodes of one place stand in for one another. */
  readonly places: readonly (readonly ChainNode[])[];
  /** Between neighbours, as far as something has been tried. */
  readonly legs: readonly ChainLeg[];
  /** What has happened, the last first. */
  readonly news: readonly ChainNews[];
}

export interface FileSight {
  readonly name: string;
  /** Bytes; undefined until that is known. */
  readonly size: number | undefined;
  /** That have arrived. */
  readonly bytes: number;
  readonly state: 'under way' | 'arrived' | 'failed';
}

interface ChainNode {
  readonly address: string;
  readonly state: 'up' | 'starting' | 'down';
}

export interface ChainLeg {
  /** Undefined for the client. */
  readonly from: string | undefined;
  readonly to: string;
  readonly open: number;
  readonly failed: number;
  readonly bytesForward: number;
  readonly bytesBack: number;
}

export interface ChainNews {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly text: string;
}
