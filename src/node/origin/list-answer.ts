/**
 * The answer to LIST: the frames of a listing, each once there is room for it, so that a client that is gone ends the walk.
 *
 * Knows whose rights count, and the log; the walk itself is the listing's. Invariant: the listing is closed, however it ends.
 * Specification: docs/protocol/requests.md#directories
 */

import { ownerOf } from '../../core/work/budget.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { encodeMessage, type RequestOf } from '../../wire/native/messages.ts';
import { namesOf, type Open } from '../../wire/native/open-message.ts';
import { holdReadable, viewOf } from '../authority/below-rights.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { Listing } from '../listings/listing.ts';
import { servedRoot } from '../root.ts';
import type { Outbox } from './outbox.ts';

export interface ListOptions {
  readonly leg: LegLike;
  readonly open: Open;
  readonly node: NodeContext;
  readonly grant: Grant;
  readonly outbox: Outbox;
  /** Whether no name may stand in a log. */
  readonly isSealed: boolean;
}

/** Sends the listing; resolves to how many entries it has. Throws what names, rights and the disk are refused with. */
export async function answerList(
  { name, depth }: RequestOf<'list'>,
  { leg, open, node, grant, outbox, isSealed }: ListOptions,
): Promise<number> {
  const { limits, log } = node;
  const owner = ownerOf(leg.address?.host ?? leg.peer);
  const root = servedRoot(node);
  grant.checkRead(name);
  const by = holdReadable(grant, root, name);
  const view = viewOf(grant, root, name);
  const listing = await Listing.open(root, name, limits, node.names, { owner, by, view, depth });
  void leg.closed.then(() => listing.abandon());
  try {
    for (let last = false; !last; ) {
      const frame = await listing.nextFrame();
      await listing.pauseFor(outbox.append(encodeMessage(frame)));
      outbox.flush();
      last = frame.last;
    }
  } finally {
    listing.close();
  }
  const named = isSealed ? { ...listing.summary, firstBadName: undefined } : { name, ...listing.summary };
  const fields = { peer: leg.peer, ...namesOf(open), ...named };
  if (fields.names + fields.unreadable > 0) log.warn(fields, 'entries are missing from a listing');
  return fields.entries;
}
