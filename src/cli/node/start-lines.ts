/** What `hopline node` prints at its start, for people and for scripts that wait for it. */

import { formatAdminAddress } from '../../admin/admin-address.ts';
import type { NodeRules } from '../../config/config.ts';
import { escapeText } from '../../core/text.ts';
import { isReachedHere } from '../../node/root.ts';
import type { Service } from '../../service.ts';
import { formatHop } from '../../wire/address.ts';

/** What a node says of itself once it runs, in one go, since whoever reads the first line may want the others. */
export function startLines({ node, gateway, admin }: Service, rules: NodeRules): string {
  const addresses = [node?.address, gateway].flatMap((address) => (address ? [formatHop(address)] : []));
  // Whoever has a relay alone has nothing that a client could ask for in plain.
  const isSealed = rules.requireKey === true || rules.authorizedKeys !== undefined;
  const isOpen = node?.root !== undefined && !isReachedHere(node.address.host) && !isSealed;
  const lines = [
    ...addresses.map((address) => `listening on ${address}`),
    node && (node.root === undefined ? 'serves no files' : escapeText(`serves ${node.root}`)),
    node?.key && `key ${node.key.text}`,
    admin && escapeText(`admin on ${formatAdminAddress(admin)}`),
    isOpen &&
      'answers in plain too, where who is on the way can read names and files and change them; --require-key ends that',
  ];
  return lines.filter((line) => typeof line === 'string').join('\n');
}
