/**
 * Every cap and deadline, in one value that is passed down and never read from a global.
 *
 * The reason for each is in docs/limits.md; a test holds the two lists against each other.
 */

const gib = 1024 ** 3;

/** Each with what it is when nobody says otherwise. */
const defaults = {
  /** Hops in a route. */
  maxHops: 32,
  /** Hops that one place of a route may name: the preferred one and its alternates. */
  maxAlternates: 16,
  /** Routes in a route file. */
  maxRoutes: 16,
  /** Bytes of JSON in one native frame. */
  maxHeaderBytes: 64 * 1024,
  /** Bytes of a classic request: what the original programs read at most. */
  maxClassicBytes: 1024,
  /** Bytes of a file name on the wire, in UTF-8. */
  maxNameBytes: 4096,
  /** Bytes in one piece of a file. */
  pieceBytes: 1024 * 1024,
  /** Bytes that one READ may ask for. */
  maxReadBytes: 16 * 1024 * 1024,
  /** READs, or WRITEs, that a client sends ahead of the answers. */
  maxReadsAhead: 32,
  /** Bytes of pieces that have come to a client and are not written yet, over all circuits of a transfer. */
  maxUnwrittenBytes: 128 * 1024 * 1024,
  /** Files that a client asks for, or sends, ahead of the answers. */
  maxFilesAhead: 32,
  /** Bytes that one PROBE may send, and that it may ask for. */
  maxProbeBytes: 1024 * 1024,
  /** PROBEs that a node answers at once. */
  maxProbes: 64,
  /** Of these, those of one peer. */
  maxPeerProbes: 16,
  /** Milliseconds that one may take, or its circuit ends. */
  probeHoldMs: 10_000,
  /** Entries in one listing of a directory, and names that an origin looks at for it. */
  maxListEntries: 1_000_000,
  /** Bytes of the paths in a listing that a client takes. */
  maxListBytes: 256 * 1024 * 1024,
  /** Bytes of names that a node holds for all listings together. */
  maxListHeldBytes: 64 * 1024 * 1024,
  /** Directories below each other in a listing. */
  maxListDepth: 64,
  /** Times a piece is asked for again after its digest was wrong. */
  maxPieceRetries: 2,
  /** Circuits that upload to a node at once; one more gets the place of one that brings too little, or is refused. */
  maxUploads: 64,
  /** Of these, those of one peer. */
  maxPeerUploads: 48,
  /** Bytes a second that an upload brings, or it gives way where others wait. */
  minUploadRateBytes: 64 * 1024,
  /** Bytes of the disk that uploads set aside ahead of their content. */
  maxReservedBytes: 64 * gib,
  /** Of these, those of one peer. */
  maxPeerReservedBytes: 48 * gib,
  /** Unfinished uploads that are kept, for their clients to go on with. */
  maxLeftUploads: 1024,
  /** Of these, those of one peer. */
  maxPeerLeftUploads: 768,
  /** Bytes on the disk of those that are kept. */
  maxLeftUploadBytes: 256 * gib,
  /** Of these, those of one peer. */
  maxPeerLeftUploadBytes: 192 * gib,
  /** Pieces in one upload. */
  maxUploadPieces: 256 * 1024,
  /** Bytes in one read from a socket at most; a leg grows to it while it is busy. */
  maxBlockBytes: 256 * 1024,
  /** Bytes of piece digests that a node keeps in memory. */
  maxDigestCacheBytes: 64 * 1024 * 1024,
  /** Files in the directory that a node keeps piece digests in. */
  maxDigestCacheFiles: 4096,
  /** Connections that a node holds at once; one more is refused. */
  maxConnections: 2048,
  /** Percent of them, and of what a gateway shares, that one peer holds at most. */
  maxPeerPercent: 75,
  /** Connections beside those that are told why they have no place, or linger; with one more, the oldest is dropped. */
  maxRefusals: 1024,
  /** Bytes of a message's payload, in UTF-8. */
  maxPayloadBytes: 1024,
  /** Policies that servers may register for at one node. */
  maxPools: 256,
  /** Members of one pool. */
  maxPoolMembers: 256,
  /** Members in a shared registry, of all pools. */
  maxSharedMembers: 4096,
  /** Members that one request is tried on. */
  maxPoolTries: 4,
  /** Milliseconds for a member to be connected to and to answer, before another one is tried. */
  answerMs: 5_000,
  /** Circuits that wait for the next file of one set of routes. */
  maxKeptCircuits: 16,
  /** Milliseconds that each of them waits. */
  keepCircuitMs: 5_000,
  /** Milliseconds that a connection to a server is kept without a message. */
  keepMs: 1_000,
  /** Milliseconds after which a server registers again. */
  registerMs: 2_000,
  /** Servers that one address registers at a node. */
  maxPeerRegistered: 1024,
  /** Servers that are registered at a node, in all its pools. */
  maxRegistered: 4096,
  /** Milliseconds after which a registered server that is down is forgotten. */
  forgetMs: 600_000,
  /** Milliseconds after which one is forgotten that never answered. */
  forgetNewMs: 10_000,
  /** Bytes that a cache of HTTP answers takes on disk. */
  maxCacheBytes: 4 * 1024 * 1024 * 1024,
  /** Answers in it. */
  maxCacheEntries: 100_000,
  /** Answers of one URL in it, for requests that differ in what Vary names. */
  maxCacheVariants: 32,
  /** Bytes of the content of one answer in it. */
  maxCacheEntryBytes: 2 * 1024 * 1024 * 1024,
  /** Bytes of content up to which an answer is held in memory, too. */
  maxCacheSmallBytes: 64 * 1024,
  /** Bytes of such content. */
  maxCacheMemoryBytes: 64 * 1024 * 1024,
  /** Microseconds that storing such an answer may take on average, for everything else to wait for it. */
  maxCachePutUs: 1000,
  /** Milliseconds for which nothing waits for it after that. */
  cacheSlowMs: 1000,
  /** Bytes that may be left of content nobody waits for, to be stored all the same. */
  maxCacheAbandonedBytes: 16 * 1024 * 1024,
  /** Answers at once that are gathered from their parts. */
  maxCacheGathered: 16,
  /** Milliseconds that an answer may be stale to stand in for an origin that cannot be reached. */
  maxCacheStaleMs: 3_600_000,
  /** Milliseconds for which requests do not wait together for what turned out to be for one of them alone. */
  cacheUnsharedMs: 10_000,
  /** URLs that this is remembered of. */
  maxCacheUnshared: 4096,
  /** Milliseconds between looks for requests to flush a cache. */
  cachePollMs: 500,
  /** Milliseconds after which a member leaves a shared registry if nobody renews its lease. */
  leaseMs: 5_000,
  /** Milliseconds between two reads of a shared registry. */
  storePollMs: 250,
  /** Milliseconds for its store to be connected to, and to answer. */
  storeMs: 1_000,
  /** Names that a node looks up at once for one peer; the oldest lookup goes for another. */
  maxPeerLookups: 64,
  /** The same for all peers together. */
  maxLookups: 256,
  /** Milliseconds for one lookup. */
  lookupMs: 5_000,
  /** Milliseconds that a lookup which failed is not tried again. */
  lookupFailedMs: 2_000,
  /** Milliseconds for one attempt to open a TCP connection. */
  connectMs: 10_000,
  /** Milliseconds from the first leg's opening to the origin's first answer. */
  openMs: 30_000,
  /** Milliseconds for a head to arrive whole once a node waits for it. */
  headMs: 10_000,
  /** Milliseconds that the time of a secure circuit's first message may differ from the node's, for requests with it to be answered at once. */
  earlyMs: 10_000,
  /** Bytes that a client gets over a secure circuit before it has confirmed that it is there: at least a piece, by itself no more. */
  maxUnconfirmedBytes: 1024 * 1024,
  /** First messages that a node remembers, so that none that comes again is answered at once. */
  maxEarly: 65_536,
  /** Milliseconds without a byte in either direction after which a leg is given up. */
  idleMs: 60_000,
  /**
   * Milliseconds that a client waits for a peer that owes an answer or content and sends no byte of it, and an origin for
   * the next byte of an upload.
   */
  stallMs: 15_000,
  /** Milliseconds that an upload may be behind `minUploadRateBytes` before it gives way to another. */
  yieldMs: 400,
  /** Milliseconds that an unfinished upload is kept after its last byte. */
  keepUploadMs: 7 * 24 * 3_600_000,
  /** Milliseconds of waiting for content over which a circuit's speed is an average. */
  minRateMs: 10_000,
  /** Milliseconds without a request after which a client that is still receiving shows that it is there. */
  pulseMs: 10_000,
  /** Milliseconds of silence that end a classic message, which has no terminator. */
  quietMs: 250,
  /** Milliseconds that a closing socket is read on, so that its last bytes are not cut off by a reset. */
  lingerMs: 2_000,
  /** Milliseconds for one answer while a broken circuit is looked into. */
  probeMs: 2_000,
  /** Milliseconds that a client avoids what failed; twice as long for each further failure in a row. */
  avoidMs: 30_000,
  /** Milliseconds that it is avoided at most. */
  avoidMaxMs: 300_000,
  /** Milliseconds before the same way is tried again; twice as long for each further failure in a row. */
  retryMinMs: 250,
  /** Milliseconds before it is tried again at most. */
  retryMaxMs: 5_000,
  /** Bytes of the head of an HTTP message. */
  maxHttpHeadBytes: 32 * 1024,
  /** Fields of an HTTP message. */
  maxHttpFields: 200,
  /** Connections of HTTP clients at once; for one more, the one that has rested longest is closed. */
  maxHttpConnections: 16_384,
  /** Requests of one connection that are worked on at once; it is not read while another one waits. */
  maxHttpAtOnce: 8,
  /** Requests, of all connections, that came behind others on theirs which are not answered yet. */
  maxHttpAhead: 16_384,
  /** Requests, and so connections, that are at the servers of one site at once. */
  maxHttpSiteRequests: 512,
  /** The same for all sites together. */
  maxHttpServerRequests: 1024,
  /** Milliseconds that a request waits for a place among these. */
  httpPlaceMs: 5_000,
  /** Logins of one address at a gateway whose passwords are being judged, or were wrong a moment ago. */
  maxPeerLogins: 8,
  /** The same for all addresses together. */
  maxLogins: 256,
  /** Milliseconds that one counts whose password was wrong. */
  loginFailedMs: 10_000,
  /** Bytes of the content of a request, where the site does not say. */
  maxHttpBodyBytes: 1024 * 1024 * 1024,
  /** Bytes of the content of a request that are here before a server is taken for it, where it has as many. */
  maxHttpBodyAheadBytes: 64 * 1024,
  /** Milliseconds without a byte of a request's content, while it is waited for. */
  httpBodyMs: 10_000,
  /** Bytes a second of a request's content, on average, while it is waited for longer than `httpBodyMs` in all. */
  minHttpBodyRate: 500,
  /** Milliseconds between two looks at whether a client that has ended its direction is still there. */
  httpHalfClosedMs: 1_000,
  /** Milliseconds for a backend to begin its answer. */
  httpAnswerMs: 60_000,
  /** Milliseconds that an idle connection to a backend is kept. */
  httpKeepMs: 4_000,
  /** Milliseconds that an idle connection of an HTTP client is kept. */
  httpClientKeepMs: 60_000,
  /** Bytes of the access log that wait to be written. */
  maxAccessLogBytes: 8 * 1024 * 1024,
  /** Milliseconds without a byte after which a connection that changed its protocol is given up. */
  httpUpgradedMs: 3_600_000,
  /** Connections to an admin listener at once. */
  maxAdminConnections: 64,
  /** Of these, those that follow what happens. */
  maxAdminListeners: 16,
  /** Bytes that wait for one of those before it is given up. */
  maxAdminBehindBytes: 1024 * 1024,
  /** Milliseconds for a request to an admin listener, from its first byte to the last of its answer. */
  adminMs: 10_000,
  /** Milliseconds that a stopping node lets running circuits finish. */
  graceMs: 10_000,
};

export type Limits = { readonly [Name in keyof typeof defaults]: number };

export const defaultLimits: Limits = defaults;

/** What one peer holds of `most` at most. */
export function peerShare(most: number, { maxPeerPercent }: Pick<Limits, 'maxPeerPercent'>): number {
  return Math.ceil((most * maxPeerPercent) / 100);
}
