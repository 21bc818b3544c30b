/** Plans whose ways end at keys, and what came by in plain. */

import type { Hop } from '../../src/wire/address.ts';
import type { PublicKey } from '../../src/wire/keys/key.ts';
import { decodeRequest } from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import type { RoutePlan } from '../../src/wire/route.ts';

const maxHeaderBytes = 65_536;

/** The plan with the key of each last hop: the same for all, or by its address. */
export function keyed(plan: RoutePlan, key: PublicKey | ((address: string) => PublicKey | undefined)): RoutePlan {
  const keyOf = (hop: Hop) => (typeof key === 'function' ? key('host' in hop ? `${hop.host}:${hop.port}` : '') : key);
  const withKey = (hop: Hop): Hop => {
    const found = keyOf(hop);
    return found ? { ...hop, key: found } : hop;
  };
  const routes = plan.routes.map((places) => [...places.slice(0, -1), (places.at(-1) ?? []).map(withKey)]);
  return { ...plan, routes };
}

/** What a client sent on one connection: the types of its messages in plain, with `sealed` for records, and whether the client's key is among them; `other` for anything else. */
export function readSent(bytes: Buffer): string[] {
  const open = decodeOpen(bytes, maxHeaderBytes);
  if (open.kind !== 'ok') return bytes.length === 0 ? [] : ['other'];
  const sent = ['open'];
  for (let rest = bytes.subarray(open.used); rest.length > 0; ) {
    if (rest[0] === 0xfe) return [...sent, rest[2] === 1 ? 'sealed by its key' : 'sealed'];
    const request = decodeRequest(rest, maxHeaderBytes);
    if (request.kind !== 'ok') return [...sent, 'other'];
    sent.push(request.value.type);
    rest = rest.subarray(request.used);
  }
  return sent;
}
