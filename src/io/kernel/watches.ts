/**
 * Watches on sockets: one epoll set of this process, which the event loop watches as a single descriptor.
 *
 * The event loop could watch each socket itself, at a price that a short circuit feels: eight calls of the system for each
 * socket, an object on either side of the language, and one call from outside for each event. Here it is one call of the
 * system for each change, and one for all events of a turn.
 * Owns the set and the shape of its events. Does not know what is watched.
 * Invariant: nobody is called for a descriptor that is not watched any more, though its number be another's by now; without a
 * watch that is started, the process is not kept alive.
 */

export interface PollEvents {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** Called by the event loop. It must not throw, and no microtask runs behind it before another callback. */
type PollCallback = (status: number, events: PollEvents) => void;

/** A watch of the event loop on a descriptor, for as long as the states last that it was started for. */
export interface PollHandle {
  start(events: PollEvents, callback: PollCallback): void;
  stop(): void;
  close(): void;
}

/** The C library, and what makes a negated errno of a failed call. */
interface Library {
  func(declaration: string): (...parameters: unknown[]) => number;
}
type Told = (result: number) => number;

/** The watch of the event loop on the set itself. */
export interface LoopHandle {
  ref(): void;
  unref(): void;
}
/** Has the event loop call `turn` whenever the descriptor is readable. */
export type WatchSet = (fd: number, turn: () => void) => LoopHandle;

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLERR = 8;
const EPOLLHUP = 16;
/** Of one turn; the others are told in the next one. */
const maxEvents = 256;
/** The system's structure of an event, in words of four bytes; only where it was first made is it packed. */
const event = process.arch === 'x64' ? { words: 3, fd: 1, serial: 2 } : { words: 4, fd: 2, serial: 3 };
const broken = -1;

const nothing: PollEvents = { readable: false, writable: false };
/** By the bits of EPOLLIN and EPOLLOUT. */
const known: Readonly<Record<number, PollEvents>> = {
  [EPOLLIN]: { readable: true, writable: false },
  [EPOLLOUT]: { readable: false, writable: true },
  [EPOLLIN | EPOLLOUT]: { readable: true, writable: true },
};

export type Poll = (fd: number, events: PollEvents, callback: PollCallback) => PollHandle;

/**
 * What watches descriptors, one watch each. It throws for one that cannot be watched. The set is opened here and now, so that a
 * process holds as many descriptors before its first watch as after it. Throws where there is none to be had.
 */
export function bindPoll(library: Library, told: Told, watchSet: WatchSet): Poll {
  const set = new WatchedSet(library, told, watchSet);
  return (fd, events, callback) => {
    const watch = new Watch(set, fd);
    watch.start(events, callback);
    return watch;
  };
}

class WatchedSet {
  readonly #ctl: (...parameters: unknown[]) => number;
  readonly #wait: (...parameters: unknown[]) => number;
  readonly #told: Told;
  readonly #fd: number;
  readonly #loop: LoopHandle;
  readonly #watches = new Map<number, Watch>();
  readonly #change = new Int32Array(event.words);
  readonly #events = new Int32Array(event.words * maxEvents);
  #lastSerial = 0;

  constructor(library: Library, told: Told, watchSet: WatchSet) {
    this.#ctl = library.func('int epoll_ctl(int set, int operation, int fd, void *event)');
    this.#wait = library.func('int epoll_wait(int set, void *events, int most, int ms)');
    this.#told = told;
    this.#fd = told(library.func('int epoll_create1(int flags)')(EPOLL_CLOEXEC));
    if (this.#fd < 0) throw new Error(`there is no epoll set to be had (${this.#fd})`);
    this.#loop = watchSet(this.#fd, () => this.#turn());
    this.#loop.unref();
  }

  /** Tells of one watch; the number says which of all that its descriptor ever has had. */
  add(watch: Watch, bits: number): number {
    this.#lastSerial = (this.#lastSerial + 1) | 0;
    this.#do(EPOLL_CTL_ADD, watch.fd, bits, this.#lastSerial);
    if (this.#watches.size === 0) this.#loop.ref();
    this.#watches.set(watch.fd, watch);
    return this.#lastSerial;
  }

  change(watch: Watch, bits: number): void {
    this.#do(EPOLL_CTL_MOD, watch.fd, bits, watch.serial);
  }

  remove(watch: Watch): void {
    this.#watches.delete(watch.fd);
    if (this.#watches.size === 0) this.#loop.unref();
    this.#ctl(this.#fd, EPOLL_CTL_DEL, watch.fd, this.#change);
  }

  #do(operation: number, fd: number, bits: number, serial: number): void {
    this.#change[0] = bits;
    this.#change[event.fd] = fd;
    this.#change[event.serial] = serial;
    const result = this.#told(this.#ctl(this.#fd, operation, fd, this.#change));
    if (result < 0) throw new Error(`the descriptor ${fd} cannot be watched (${result})`);
  }

  #turn(): void {
    const count = this.#wait(this.#fd, this.#events, maxEvents, 0);
    for (let at = 0; at < count * event.words; at += event.words) {
      const watch = this.#watches.get(this.#events[at + event.fd] as number);
      // Whoever was called before in this turn may have closed it, or opened another.
      if (watch?.serial === this.#events[at + event.serial]) watch?.tell(this.#events[at] as number);
    }
  }
}

class Watch implements PollHandle {
  readonly fd: number;
  readonly #set: WatchedSet;
  #callback: PollCallback = () => {};
  /** What is watched for; 0 while it is not in the set. */
  #bits = 0;
  serial = 0;

  constructor(set: WatchedSet, fd: number) {
    this.#set = set;
    this.fd = fd;
  }

  start({ readable, writable }: PollEvents, callback: PollCallback): void {
    const bits = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
    this.#callback = callback;
    if (bits === 0) this.stop();
    else if (this.#bits === 0) this.serial = this.#set.add(this, bits);
    else if (bits !== this.#bits) this.#set.change(this, bits);
    this.#bits = bits;
  }

  stop(): void {
    if (this.#bits === 0) return;
    this.#bits = 0;
    this.#set.remove(this);
  }

  close(): void {
    this.stop();
  }

  /** What the system said of it. One that failed is not watched any more. */
  tell(bits: number): void {
    if (bits & EPOLLERR) {
      this.stop();
      this.#callback(broken, nothing);
      return;
    }
    const ready = bits & this.#bits;
    const events = known[ready === 0 && bits & EPOLLHUP ? this.#bits : ready];
    if (events) this.#callback(0, events);
  }
}
