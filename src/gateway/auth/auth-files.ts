/**
 * The files of credentials of all sites of a gateway: each is open once, whichever sites name it, and outlives a reload.
 *
 * Owns when they are looked at, and the logins of all sites, since what those cost is one process's.
 * Invariant: a site that another reload has asked to be judged goes by the file as it is now.
 * Documentation: docs/http/auth.md
 */

import { type Clock, every, systemClock } from '../../core/clock.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { lookMs, WatchedList } from '../../io/disk/watched/watched-list.ts';
import { blockList, parseNetworks } from '../../io/names/networks.ts';
import { Logins } from './logins.ts';
import {
  createKeyedDigest,
  type KeyedDigest,
  parseTokens,
  parseUsers,
  secretFileRules,
  stillThere,
  type Tokens,
  type Users,
} from './secret-lines.ts';
import { createSiteAuth, type SiteAuth } from './site-auth.ts';

/** Who may ask a site: all that is named must hold, and of `basic` and `bearer` one. */
export interface AuthRules {
  /** A file of users. */
  readonly basic?: string | undefined;
  /** A file of tokens. */
  readonly bearer?: string | undefined;
  /** Networks that requests may come from. */
  readonly addresses?: readonly string[] | undefined;
}

export interface AuthFilesOptions {
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock?: Clock | undefined;
}

export class AuthFiles {
  readonly #options: AuthFilesOptions;
  readonly #digest: KeyedDigest = createKeyedDigest();
  readonly #logins: Logins;
  readonly #users = new Map<string, WatchedList<Users>>();
  readonly #tokens = new Map<string, WatchedList<Tokens>>();
  readonly #stopLooking: () => void;

  constructor(options: AuthFilesOptions) {
    this.#options = options;
    const { limits, clock = systemClock } = options;
    this.#logins = new Logins({ limits, clock, digest: this.#digest });
    this.#stopLooking = every(clock, lookMs, () => {
      for (const list of this.#lists()) list.look();
    });
  }

  /** Throws `CONFIG_INVALID` for a file with a mistake that is not open yet, and `USAGE_INVALID` for a network that is none. */
  async open(host: string, { basic, bearer, addresses }: AuthRules): Promise<SiteAuth> {
    const users = basic === undefined ? undefined : await this.#openUsers(basic);
    const tokens = bearer === undefined ? undefined : await this.#openTokens(bearer);
    return createSiteAuth({
      realm: host,
      addresses: addresses && blockList(parseNetworks(addresses, `site ${host}: addresses`)),
      users: users && (() => users.current),
      tokens: tokens && (() => tokens.current),
      logins: this.#logins,
      digest: this.#digest,
    });
  }

  /** Reads all files again that these rules name, and lets go of the others; never rejects. */
  async keep(rules: readonly (AuthRules | undefined)[]): Promise<void> {
    const reread = async (lists: Map<string, WatchedList<Users> | WatchedList<Tokens>>, key: 'basic' | 'bearer') => {
      const named = new Set(rules.map((rule) => rule?.[key]));
      for (const [file, list] of lists) {
        if (named.has(file)) await list.reread();
        else if (lists.delete(file)) await list.close();
      }
    };
    await Promise.all([reread(this.#users, 'basic'), reread(this.#tokens, 'bearer')]);
  }

  async close(): Promise<void> {
    this.#stopLooking();
    this.#logins.close();
    await Promise.all([...this.#lists()].map((list) => list.close()));
  }

  *#lists(): Iterable<WatchedList<Users> | WatchedList<Tokens>> {
    yield* this.#users.values();
    yield* this.#tokens.values();
  }

  async #openUsers(file: string): Promise<WatchedList<Users>> {
    const parse = (text: string, known: Users) => parseUsers(text, file, this.#digest, known);
    const list = this.#users.get(file) ?? (await this.#openList(file, `users of ${file}`, parse));
    this.#users.set(file, list);
    return list;
  }

  async #openTokens(file: string): Promise<WatchedList<Tokens>> {
    const parse = (text: string) => parseTokens(text, file, this.#digest);
    const list = this.#tokens.get(file) ?? (await this.#openList(file, `tokens of ${file}`, parse));
    this.#tokens.set(file, list);
    return list;
  }

  #openList<T extends { readonly line: string }>(
    file: string,
    what: string,
    parse: (text: string, known: ReadonlyMap<string, T>) => ReadonlyMap<string, T>,
  ): Promise<WatchedList<ReadonlyMap<string, T>>> {
    const stillNamed = (text: string, known: ReadonlyMap<string, T>) => stillThere(text, this.#digest, known);
    return WatchedList.open({
      file,
      what,
      rules: secretFileRules,
      empty: new Map(),
      parse,
      stillNamed,
      log: this.#options.log,
    });
  }
}
