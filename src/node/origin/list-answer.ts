/**
 * The answer to LIST: the frames of a listing, each once there is room for it, so that a client that is gone ends the walk.
 *
 * Knows whose rights count, and the log; the walk itself is the listing's. Invariant: the listing is closed, however it ends.
 * Specification: docs/protocol/requests.md#directories
 */

import { ownerOf } from '../../core/work/budget.ts';
import { chooseDigest, type DigestAlgorithm } from '../../io/digests/digest.ts';
import { versionOf } from '../../io/disk/reading/versioned-file.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { encodeMessage, type RequestOf } from '../../wire/native/messages.ts';
import { namesOf, type Open } from '../../wire/native/open-message.ts';
import { holdReadable, viewOf } from '../authority/below-rights.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import type { KnownDigest } from '../listings/listed-entry.ts';
import { Listing, type ListingOptions } from '../listings/listing.ts';
import { servedRoot } from '../root.ts';
import type { Outbox } from './outbox.ts';

interface ListedFor {
  readonly leg: LegLike;
  readonly node: NodeContext;
  readonly grant: Grant;
}

export interface ListOptions extends ListedFor {
  readonly open: Open;
  readonly outbox: Outbox;
  /** Whether no name may stand in a log. */
  readonly isSealed: boolean;
}

/** Sends the listing; resolves to how many entries it has. Throws what names, rights and the disk are refused with. */
export async function answerList(
  { name, depth, digests }: RequestOf<'list'>,
  { open, outbox, isSealed, ...listedFor }: ListOptions,
): Promise<number> {
  const { leg, node, grant } = listedFor;
  grant.checkRead(name);
  const algorithm = digests && chooseDigest(node.digests, digests);
  const knownDigest = algorithm && knownDigests(algorithm, node);
  const listing = await openListing(name, { depth, knownDigest }, listedFor);
  const told = algorithm ? { digest: algorithm.name } : {};
  try {
    for (let last = false; !last; ) {
      const frame = await listing.nextFrame();
      await listing.pauseFor(outbox.append(encodeMessage({ ...frame, ...told })));
      outbox.flush();
      last = frame.last;
    }
  } finally {
    listing.close();
  }
  const named = isSealed ? { ...listing.summary, firstBadName: undefined } : { name, ...listing.summary };
  const fields = { peer: leg.peer, ...namesOf(open), ...named };
  if (fields.names + fields.unreadable > 0) node.log.warn(fields, 'entries are missing from a listing');
  return fields.entries;
}

/** Throws `AUTH_DENIED` for a directory that may not be seen since nothing in it may. */
export async function checkSeen(name: string, listedFor: ListedFor): Promise<void> {
  if (listedFor.grant.rights.read.isEverything) return;
  const listing = await openListing(name, { depth: 0 }, listedFor);
  try {
    await listing.nextFrame();
  } finally {
    listing.close();
  }
}

/** Those of files of one piece, of the version that they have now. */
function knownDigests({ name: algorithm }: DigestAlgorithm, { digestCache, limits }: NodeContext): KnownDigest {
  const { pieceBytes } = limits;
  return async (file) =>
    file.size > pieceBytes ? undefined : digestCache.known({ version: versionOf(file), algorithm, pieceBytes });
}

async function openListing(
  name: string,
  { depth, knownDigest }: Pick<ListingOptions, 'depth' | 'knownDigest'>,
  { leg, node, grant }: ListedFor,
): Promise<Listing> {
  const owner = ownerOf(leg.address?.host ?? leg.peer);
  const root = servedRoot(node);
  const by = holdReadable(grant, root, name, node.hold);
  const view = viewOf(grant, root, name);
  const listing = await Listing.open(root, name, node.limits, node.names, { owner, by, view, depth, knownDigest });
  void leg.closed.then(() => listing.abandon());
  return listing;
}
