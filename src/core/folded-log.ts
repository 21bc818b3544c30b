/**
 * A log in which warnings that come again and again are told once, and then counted.
 *
 * Warnings are alike if they are of one kind and of one peer. The first is written at once; the others of the next seconds are
 * one line at the end of them, or when the log is ended: `repeated 4,812 times`. What is no warning passes as it is.
 * Invariant: whoever sends what, there are at most two lines for each kind and peer in that time, and what is held is bounded.
 */

import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';
import { ownerOf } from './work/budget.ts';

/** For how long those that are alike are folded. */
const foldMs = 10_000;
/** Kinds and peers that are told apart; above that, all peers of a code are taken together. */
const maxKinds = 256;

type Fields = Readonly<Record<string, unknown>>;

interface Kind {
  readonly fields: Fields;
  readonly message: string;
  readonly cancel: () => void;
  repeated: number;
}

export interface FoldedLog extends Logger {
  /** Tells what is still to be told. Warnings after that are not folded. */
  end(): void;
}

export function foldWarnings(log: Logger, clock: Clock): FoldedLog {
  const kinds = new Map<string, Kind>();
  let hasEnded = false;
  const tell = (key: string) => {
    const kind = kinds.get(key);
    kinds.delete(key);
    kind?.cancel();
    if (!kind || kind.repeated === 0) return;
    const times = kind.repeated === 1 ? 'once more' : `${kind.repeated.toLocaleString('en-US')} times`;
    log.warn({ ...kind.fields, repeated: kind.repeated }, `repeated ${times}: ${kind.message}`);
  };
  const warn = (fields: Fields, message: string) => {
    if (hasEnded) return log.warn(fields, message);
    const exact = exactKey(fields, message);
    const isCrowded = kinds.size >= maxKinds && !kinds.has(exact);
    const key = isCrowded ? `code ${String(fields.code)}` : exact;
    const kind = kinds.get(key);
    if (kind) {
      kind.repeated += 1;
      return;
    }
    log.warn(fields, message);
    const cancel = clock.after(foldMs, () => tell(key));
    kinds.set(key, { ...(isCrowded ? crowded(fields) : alike(fields, message)), cancel, repeated: 0 });
  };
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn,
    error: (fields, message) => log.error(fields, message),
    end: () => {
      hasEnded = true;
      for (const key of [...kinds.keys()]) tell(key);
    },
  };
}

/** Without a peer, all fields say what the warning is about. */
function exactKey(fields: Fields, message: string): string {
  const host = peerHost(fields);
  if (host === undefined) return `fields ${JSON.stringify(fields)} ${message}`;
  return `peer ${ownerOf(host)} ${String(fields.code)} ${ownWords(message)}`;
}

/** What the warnings that are folded have in common. */
function alike(fields: Fields, message: string): { fields: Fields; message: string } {
  const host = peerHost(fields);
  if (host === undefined) return { fields, message };
  const { code, dialect } = fields;
  return { fields: { peer: host, ...(dialect === undefined ? {} : { dialect }), code }, message };
}

function crowded({ code }: Fields): { fields: Fields; message: string } {
  return { fields: { code }, message: 'warnings of other kinds and peers' };
}

function peerHost({ peer }: Fields): string | undefined {
  return typeof peer === 'string' ? peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') : undefined;
}

/** A message up to the first digit, quote or bracket: what may come from elsewhere begins with one. */
function ownWords(message: string): string {
  return message.replace(/[\d"'`[({].*$/s, '');
}
