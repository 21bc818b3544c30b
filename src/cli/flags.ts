/** The values of flags: how each is written, and one sentence for a value that is not written so. */

import { InvalidArgumentError } from 'commander';
import type { PoolMembers } from '../pool/sources/sources.ts';
import { type Address, isPoolName, parseAddress, parseListen } from '../wire/address.ts';
import { parseKeyedAddress } from '../wire/keyed-hop.ts';
import { parseDuration, parseRate, parseSize } from '../wire/quantity.ts';

/** HOST:PORT to listen on; port 0 picks one. */
export function listenFlag(text: string): { readonly host: string; readonly port: number } {
  const listen = parseListen(text);
  if (!listen) throw new InvalidArgumentError('Expected HOST:PORT, such as 127.0.0.1:7001 or [::1]:0.');
  return listen;
}

/** HOST:PORT of another node. */
export function addressFlag(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed.kind === 'bad') throw new InvalidArgumentError(`Expected ${parsed.expected}.`);
  return parsed.hop;
}

/** `HOST:PORT#hop1...`: a node of a known key, or without one. */
export function keyedAddressesFlag(text: string, earlier: readonly Address[] = []): readonly Address[] {
  const parsed = parseKeyedAddress(text);
  if (!parsed) throw new InvalidArgumentError('Expected HOST:PORT, or HOST:PORT#hop1... where its key is known.');
  return [...earlier, parsed];
}

/** `NAME=HOST:PORT,HOST:PORT`: a pool and its members. */
export function poolFlag(text: string, earlier: readonly PoolMembers[] = []): readonly PoolMembers[] {
  const name = text.slice(0, Math.max(0, text.indexOf('=')));
  if (!isPoolName(name)) {
    throw new InvalidArgumentError('Expected NAME=HOST:PORT,HOST:PORT, with a NAME of 1 to 64 of A-Z a-z 0-9 _ . -');
  }
  if (earlier.some((pool) => pool.name === name)) throw new InvalidArgumentError(`The pool ${name} is there already.`);
  const members = text.slice(name.length + 1).split(',');
  return [...earlier, { name, members: members.map(addressFlag) }];
}

/** Seconds, or a duration such as `500ms` or `2m`, above zero; becomes milliseconds. */
export function secondsFlag(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0 && ms <= 86_400_000) return ms;
  throw new InvalidArgumentError('Expected seconds, above 0 and at most 86400.');
}

const checksumDigits = { sha256: 64, sha512: 128, blake3: 64 };

/** `NAME:HEX`. */
export function checksumFlag(text: string): { algorithm: keyof typeof checksumDigits; hex: string } {
  const [name = '', hex = ''] = text.toLowerCase().split(/:(.*)/s);
  const algorithm = (['sha256', 'sha512', 'blake3'] as const).find((known) => known === name);
  if (algorithm && /^[0-9a-f]+$/.test(hex) && hex.length === checksumDigits[algorithm]) return { algorithm, hex };
  throw new InvalidArgumentError('Expected sha256:HEX, sha512:HEX or blake3:HEX, all digits of it.');
}

/** Bytes a second: a number, then maybe K, M, G or T, each 1,024 times the one before. */
export function rateFlag(text: string): number {
  const bytes = parseRate(text);
  if (bytes !== undefined) return bytes;
  throw new InvalidArgumentError('Expected bytes a second, such as 500K, 10M or 1.5G, at least 1K.');
}

export function countFlag(text: string): number {
  return wholeFrom(1, text);
}

/** How often, maybe never. */
export function timesFlag(text: string): number {
  return wholeFrom(0, text);
}

/** Bytes, maybe with K, M, G or T for powers of 1024. */
export function bytesFlag(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new InvalidArgumentError('Expected bytes above 0, such as 500000000, 500M or 10G.');
}

export function listFlag(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** What was not given does not stand in the way of what was. */
export function given<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

/** Whether neither `--no-kernel` nor HOPLINE_KERNEL turns the kernel path off. */
export function mayUseKernel(flags: { readonly kernel: boolean }): boolean {
  return flags.kernel && process.env.HOPLINE_KERNEL !== 'off';
}

function wholeFrom(least: number, text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= least && count <= 1_000_000) return count;
  throw new InvalidArgumentError(`Expected a whole number from ${least} to 1000000.`);
}
