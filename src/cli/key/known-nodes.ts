/**
 * `known_nodes`: the keys of nodes that this machine reaches itself, a line each, `host:port hop1... # comment`.
 *
 * The keys are for first hops alone: behind a relay, the same address may be another machine.
 * Invariant: a node has one line, and only the user changes its key; what several programs add at once is all there.
 * Documentation: docs/security.md#first-use
 */

import { HoplineError } from '../../core/errors.ts';
import { readTextFile } from '../../io/disk/reading/text-file.ts';
import { editText } from '../../io/disk/whole-text.ts';
import { type Address, formatHop, hopKey, parseAddress } from '../../wire/address.ts';
import { type PublicKey, parsePublicKey } from '../../wire/keys/key.ts';

export interface KnownKey {
  readonly key: PublicKey;
  /** FILE:LINE. */
  readonly at: string;
}

/** By `hopKey` of their addresses; none where there is no such file. Throws `KEY_INVALID`, with the line. */
export async function readKnownNodes(file: string): Promise<ReadonlyMap<string, KnownKey>> {
  return parseKnownNodes(await readText(file), file);
}

/** Adds a node. Throws `KEY_CHANGED` where it is there with another key. */
export function trustNode(file: string, address: Address, key: PublicKey): Promise<void> {
  return edit(file, (text) => {
    const known = parseKnownNodes(text, file).get(hopKey(address));
    if (known?.key.equals(key)) return text;
    if (known) {
      const message = `${known.at} has another key for ${formatHop(address)}, ${known.key.text}`;
      throw new HoplineError('KEY_CHANGED', message);
    }
    const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
    return `${before}${formatHop(address)} ${key.text}\n`;
  });
}

/** Takes a node out. Throws `USAGE_INVALID` where it is not there. */
export function forgetNode(file: string, address: Address): Promise<void> {
  return edit(file, (text) => {
    const known = parseKnownNodes(text, file).get(hopKey(address));
    if (!known) throw new HoplineError('USAGE_INVALID', `${formatHop(address)} is not in ${file}`);
    const number = Number(known.at.slice(file.length + 1));
    const lines = text.split('\n');
    return lines.filter((_line, index) => index !== number - 1).join('\n');
  });
}

function edit(file: string, change: (text: string) => string): Promise<void> {
  return editText(file, { read: () => readText(file), edit: change });
}

function parseKnownNodes(text: string, file: string): ReadonlyMap<string, KnownKey> {
  const nodes = new Map<string, KnownKey>();
  for (const [index, line] of text.split('\n').entries()) {
    const at = `${file}:${index + 1}`;
    const [address = '', key, ...more] = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/);
    if (address === '') continue;
    const parsed = parseAddress(address);
    if (parsed.kind === 'bad' || key === undefined || more.length > 0) {
      throw new HoplineError('KEY_INVALID', `${at}: expected HOST:PORT and a key`);
    }
    const name = hopKey(parsed.hop);
    const earlier = nodes.get(name);
    if (earlier)
      throw new HoplineError('KEY_INVALID', `${at}: expected each node once, and this one is at ${earlier.at}`);
    nodes.set(name, { key: parsePublicKey(key, at), at });
  }
  return nodes;
}

async function readText(file: string): Promise<string> {
  return readTextFile(file, { what: 'the list of nodes', code: 'KEY_INVALID' }).catch((error: HoplineError) => {
    if (error.reason === 'ENOENT') return '';
    throw error;
  });
}
