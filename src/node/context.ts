/** The state that all connections of one node share: its settings, its counts, and what it remembers. */

import type { Clock } from '../core/clock.ts';
import type { Limits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Budget } from '../core/work/budget.ts';
import type { LoopShare } from '../core/work/loop-share.ts';
import type { DigestAlgorithm } from '../io/digests/digest.ts';
import type { Hold } from '../io/disk/held.ts';
import type { SetUserTimeout } from '../io/kernel/libc.ts';
import type { JoinOptions } from '../io/legs/join.ts';
import type { Places } from '../io/listening/places.ts';
import type { Resolver } from '../io/names/resolve.ts';
import type { EarlyWindow } from '../secure/handshake/early-window.ts';
import type { Aead } from '../secure/records/aead.ts';
import type { KeyPair } from '../wire/keys/key.ts';
import type { NextAccess, RegisterAccess } from './access/access-rules.ts';
import type { Authority } from './authority/authority.ts';
import type { NameRoom } from './listings/name-room.ts';
import type { HttpServing } from './options.ts';
import type { DigestCache } from './origin/digest-cache.ts';
import type { Policies } from './packets/front.ts';
import type { PolicyServer } from './packets/policy-server.ts';
import type { Pools } from './pools/pools.ts';
import type { NodeRates } from './rates.ts';
import type { Traffic } from './traffic/traffic.ts';
import type { Uploads } from './uploads/claims.ts';
import type { Leftovers } from './uploads/leftovers.ts';

export interface NodeSecurity {
  /** The key of this node. */
  readonly own: KeyPair;
  /** Which requests that came with a first message are answered at once. */
  readonly window: EarlyWindow;
  readonly aead: Aead;
  /** When handshakes are answered. */
  readonly share: LoopShare;
}

export interface NodeContext {
  /** The real path of the directory that files are served from; undefined on a node that is no origin. */
  readonly root: string | undefined;
  /** How files that are served are held. */
  readonly hold: Hold;
  /** Where legs may be opened to. */
  readonly next: NextAccess;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** By `clock`. */
  readonly startedMs: number;
  readonly metrics: Metrics;
  /** What goes through here now, for people who look. */
  readonly traffic: Traffic;
  readonly connections: Places;
  readonly resolve: Resolver;
  readonly digests: readonly DigestAlgorithm[];
  /** The digests of pieces that were served before. */
  readonly digestCache: DigestCache;
  readonly uploads: Uploads;
  /** What unfinished uploads have left. */
  readonly leftovers: Leftovers;
  /** For listings of directories. */
  readonly names: NameRoom;
  /** Those that measure the way to here, now. */
  readonly probes: Budget;
  /** What circuits are encrypted by that end here; undefined on a node without a key. */
  readonly security: NodeSecurity | undefined;
  /** How the two legs of a circuit are joined. */
  readonly join: JoinOptions;
  /** The limits of circuits to come. */
  readonly rates: NodeRates;
  /** Who may come, and what each may do; undefined where everybody may do everything. */
  readonly authority: Authority | undefined;
  /** For every leg; undefined where it cannot be. */
  readonly setUserTimeout: SetUserTimeout | undefined;
  /** Traces of the circuits that are here now; a circuit that comes by twice is a loop. */
  readonly traces: Set<string>;
  /** Whether a server may register from this address. */
  readonly mayRegister: RegisterAccess;
  /** Whether dialling this address and port would reach the node itself. */
  readonly isSelf: (address: string, port: number) => boolean;
  /** Those that a hop of a route, or a policy, may name. */
  readonly pools: Pools;
  /** What passes messages of the packet dialect on to a pool. */
  readonly policies: Policies;
  /** The policy whose messages are answered here. */
  readonly server: (PolicyServer & { readonly id: string }) | undefined;
  /** Who serves HTTP clients that come to this node's port; nobody if undefined. */
  readonly http: HttpServing | undefined;
  /** Aborts when the node begins to stop: nothing new is begun. */
  readonly stopping: AbortSignal;
}
