/**
 * Every cap and deadline, in one value that is passed down and never read from a global.
 *
 * The reason for each is in docs/limits.md; a test holds the two lists against each other.
 */

export interface Limits {
  /** Hops in a route. */
  readonly maxHops: number;
  /** Hops that one place of a route may name: the preferred one and its alternates. */
  readonly maxAlternates: number;
  /** Routes in a route file. */
  readonly maxRoutes: number;
  /** Bytes of JSON in one native frame. */
  readonly maxHeaderBytes: number;
  /** Bytes of a classic request: what the original programs read at most. */
  readonly maxClassicBytes: number;
  /** Bytes of a file name on the wire, in UTF-8. */
  readonly maxNameBytes: number;
  /** Bytes in one piece of a file. */
  readonly pieceBytes: number;
  /** Bytes that one READ may ask for. */
  readonly maxReadBytes: number;
  /** READs, or WRITEs, that a client sends ahead of the answers. */
  readonly maxReadsAhead: number;
  /** Files that a client asks for ahead of the answers. */
  readonly maxFilesAhead: number;
  /** Entries in one listing of a directory, and names that an origin looks at for it. */
  readonly maxListEntries: number;
  /** Bytes of the paths in a listing that a client takes. */
  readonly maxListBytes: number;
  /** Bytes of names that a node holds for all listings together. */
  readonly maxListHeldBytes: number;
  /** Directories below each other in a listing. */
  readonly maxListDepth: number;
  /** Times a piece is asked for again after its digest was wrong. */
  readonly maxPieceRetries: number;
  /** Circuits that upload to a node at once; one more gets the place of one that brings too little, or is refused. */
  readonly maxUploads: number;
  /** Of these, those of one peer. */
  readonly maxPeerUploads: number;
  /** Bytes a second that an upload brings, or it gives way where others wait. */
  readonly minUploadRateBytes: number;
  /** Bytes of the disk that uploads set aside ahead of their content. */
  readonly maxReservedBytes: number;
  /** Of these, those of one peer. */
  readonly maxPeerReservedBytes: number;
  /** Unfinished uploads that are kept, for their clients to go on with. */
  readonly maxLeftUploads: number;
  /** Of these, those of one peer. */
  readonly maxPeerLeftUploads: number;
  /** Bytes on the disk of those that are kept. */
  readonly maxLeftUploadBytes: number;
  /** Of these, those of one peer. */
  readonly maxPeerLeftUploadBytes: number;
  /** Pieces in one upload. */
  readonly maxUploadPieces: number;
  /** Bytes in one read from a socket at most; a leg grows to it while it is busy. */
  readonly maxBlockBytes: number;
  /** Bytes of piece digests that a node keeps in memory. */
  readonly maxDigestCacheBytes: number;
  /** Files in the directory that a node keeps piece digests in. */
  readonly maxDigestCacheFiles: number;
  /** Connections that a node holds at once; one more is refused. */
  readonly maxConnections: number;
  /** Percent of them, and of what a gateway shares, that one peer holds at most. */
  readonly maxPeerPercent: number;
  /** Connections beside those that are told why they have no place, or linger; with one more, the oldest is dropped. */
  readonly maxRefusals: number;
  /** Bytes of a message's payload, in UTF-8. */
  readonly maxPayloadBytes: number;
  /** Policies that servers may register for at one node. */
  readonly maxPools: number;
  /** Members of one pool. */
  readonly maxPoolMembers: number;
  /** Members in a shared registry, of all pools. */
  readonly maxSharedMembers: number;
  /** Members that one request is tried on. */
  readonly maxPoolTries: number;
  /** Milliseconds for a member to be connected to and to answer, before another one is tried. */
  readonly answerMs: number;
  /** Circuits that wait for the next file of one set of routes. */
  readonly maxKeptCircuits: number;
  /** Milliseconds that each of them waits. */
  readonly keepCircuitMs: number;
  /** Milliseconds that a connection to a server is kept without a message. */
  readonly keepMs: number;
  /** Milliseconds after which a server registers again. */
  readonly registerMs: number;
  /** Servers that one address registers at a node. */
  readonly maxPeerRegistered: number;
  /** Servers that are registered at a node, in all its pools. */
  readonly maxRegistered: number;
  /** Milliseconds after which a registered server that is down is forgotten. */
  readonly forgetMs: number;
  /** Milliseconds after which one is forgotten that never answered. */
  readonly forgetNewMs: number;
  /** Bytes that a cache of HTTP answers takes on disk. */
  readonly maxCacheBytes: number;
  /** Answers in it. */
  readonly maxCacheEntries: number;
  /** Answers of one URL in it, for requests that differ in what Vary names. */
  readonly maxCacheVariants: number;
  /** Bytes of the content of one answer in it. */
  readonly maxCacheEntryBytes: number;
  /** Bytes of content up to which an answer is held in memory, too. */
  readonly maxCacheSmallBytes: number;
  /** Bytes of such content. */
  readonly maxCacheMemoryBytes: number;
  /** Microseconds that storing such an answer may take on average, for everything else to wait for it. */
  readonly maxCachePutUs: number;
  /** Milliseconds for which nothing waits for it after that. */
  readonly cacheSlowMs: number;
  /** Bytes that may be left of content nobody waits for, to be stored all the same. */
  readonly maxCacheAbandonedBytes: number;
  /** Answers at once that are gathered from their parts. */
  readonly maxCacheGathered: number;
  /** Milliseconds that an answer may be stale to stand in for an origin that cannot be reached. */
  readonly maxCacheStaleMs: number;
  /** Milliseconds for which requests do not wait together for what turned out to be for one of them alone. */
  readonly cacheUnsharedMs: number;
  /** URLs that this is remembered of. */
  readonly maxCacheUnshared: number;
  /** Milliseconds between looks for requests to flush a cache. */
  readonly cachePollMs: number;
  /** Milliseconds after which a member leaves a shared registry if nobody renews its lease. */
  readonly leaseMs: number;
  /** Milliseconds between two reads of a shared registry. */
  readonly storePollMs: number;
  /** Milliseconds for its store to be connected to, and to answer. */
  readonly storeMs: number;
  /** Names that a node looks up at once for one peer; the oldest lookup goes for another. */
  readonly maxPeerLookups: number;
  /** The same for all peers together. */
  readonly maxLookups: number;
  /** Milliseconds for one lookup. */
  readonly lookupMs: number;
  /** Milliseconds that a lookup which failed is not tried again. */
  readonly lookupFailedMs: number;
  /** Milliseconds for one attempt to open a TCP connection. */
  readonly connectMs: number;
  /** Milliseconds from the first leg's opening to the origin's first answer. */
  readonly openMs: number;
  /** Milliseconds for a head to arrive whole once a node waits for it. */
  readonly headMs: number;
  /** Milliseconds without a byte in either direction after which a leg is given up. */
  readonly idleMs: number;
  /**
   * Milliseconds that a client waits for a peer that owes an answer or content and sends no byte of it, and an origin for
   * the next byte of an upload.
   */
  readonly stallMs: number;
  /** Milliseconds that an upload may be behind `minUploadRateBytes` before it gives way to another. */
  readonly yieldMs: number;
  /** Milliseconds that an unfinished upload is kept after its last byte. */
  readonly keepUploadMs: number;
  /** Milliseconds of waiting for content over which a circuit's speed is an average. */
  readonly minRateMs: number;
  /** Milliseconds without a request after which a client that is still receiving shows that it is there. */
  readonly pulseMs: number;
  /** Milliseconds of silence that end a classic message, which has no terminator. */
  readonly quietMs: number;
  /** Milliseconds that a closing socket is read on, so that its last bytes are not cut off by a reset. */
  readonly lingerMs: number;
  /** Milliseconds for one answer while a broken circuit is looked into. */
  readonly probeMs: number;
  /** Milliseconds that a client avoids what failed; twice as long for each further failure in a row. */
  readonly avoidMs: number;
  /** Milliseconds that it is avoided at most. */
  readonly avoidMaxMs: number;
  /** Milliseconds before the same way is tried again; twice as long for each further failure in a row. */
  readonly retryMinMs: number;
  /** Milliseconds before it is tried again at most. */
  readonly retryMaxMs: number;
  /** Bytes of the head of an HTTP message. */
  readonly maxHttpHeadBytes: number;
  /** Fields of an HTTP message. */
  readonly maxHttpFields: number;
  /** Connections of HTTP clients at once; for one more, the one that has rested longest is closed. */
  readonly maxHttpConnections: number;
  /** Requests of one connection that are worked on at once; it is not read while another one waits. */
  readonly maxHttpAtOnce: number;
  /** Requests, of all connections, that came behind others on theirs which are not answered yet. */
  readonly maxHttpAhead: number;
  /** Requests, and so connections, that are at the servers of one site at once. */
  readonly maxHttpSiteRequests: number;
  /** The same for all sites together. */
  readonly maxHttpServerRequests: number;
  /** Milliseconds that a request waits for a place among these. */
  readonly httpPlaceMs: number;
  /** Bytes of the content of a request, where the site does not say. */
  readonly maxHttpBodyBytes: number;
  /** Bytes of the content of a request that are here before a server is taken for it, where it has as many. */
  readonly maxHttpBodyAheadBytes: number;
  /** Milliseconds without a byte of a request's content, while it is waited for. */
  readonly httpBodyMs: number;
  /** Bytes a second of a request's content, on average, while it is waited for longer than `httpBodyMs` in all. */
  readonly minHttpBodyRate: number;
  /** Milliseconds between two looks at whether a client that has ended its direction is still there. */
  readonly httpHalfClosedMs: number;
  /** Milliseconds for a backend to begin its answer. */
  readonly httpAnswerMs: number;
  /** Milliseconds that an idle connection to a backend is kept. */
  readonly httpKeepMs: number;
  /** Milliseconds that an idle connection of an HTTP client is kept. */
  readonly httpClientKeepMs: number;
  /** Bytes of the access log that wait to be written. */
  readonly maxAccessLogBytes: number;
  /** Milliseconds without a byte after which a connection that changed its protocol is given up. */
  readonly httpUpgradedMs: number;
  /** Milliseconds that a stopping node lets running circuits finish. */
  readonly graceMs: number;
}

const gib = 1024 ** 3;

export const defaultLimits: Limits = {
  maxHops: 32,
  maxAlternates: 16,
  maxRoutes: 16,
  maxHeaderBytes: 64 * 1024,
  maxClassicBytes: 1024,
  maxNameBytes: 4096,
  pieceBytes: 1024 * 1024,
  maxReadBytes: 16 * 1024 * 1024,
  maxReadsAhead: 32,
  maxFilesAhead: 32,
  maxListEntries: 1_000_000,
  maxListBytes: 256 * 1024 * 1024,
  maxListHeldBytes: 64 * 1024 * 1024,
  maxListDepth: 64,
  maxPieceRetries: 2,
  maxUploads: 64,
  maxPeerUploads: 48,
  minUploadRateBytes: 64 * 1024,
  maxReservedBytes: 64 * gib,
  maxPeerReservedBytes: 48 * gib,
  maxLeftUploads: 1024,
  maxPeerLeftUploads: 768,
  maxLeftUploadBytes: 256 * gib,
  maxPeerLeftUploadBytes: 192 * gib,
  maxUploadPieces: 256 * 1024,
  maxBlockBytes: 256 * 1024,
  maxDigestCacheBytes: 64 * 1024 * 1024,
  maxDigestCacheFiles: 4096,
  maxConnections: 2048,
  maxPeerPercent: 75,
  maxRefusals: 1024,
  maxPayloadBytes: 1024,
  maxPools: 256,
  maxPoolMembers: 256,
  maxSharedMembers: 4096,
  maxPoolTries: 4,
  answerMs: 5_000,
  maxKeptCircuits: 16,
  keepCircuitMs: 5_000,
  keepMs: 1_000,
  registerMs: 2_000,
  maxPeerRegistered: 1024,
  maxRegistered: 4096,
  forgetMs: 600_000,
  forgetNewMs: 10_000,
  maxCacheBytes: 4 * 1024 * 1024 * 1024,
  maxCacheEntries: 100_000,
  maxCacheVariants: 32,
  maxCacheEntryBytes: 2 * 1024 * 1024 * 1024,
  maxCacheSmallBytes: 64 * 1024,
  maxCacheMemoryBytes: 64 * 1024 * 1024,
  maxCachePutUs: 1000,
  cacheSlowMs: 1000,
  maxCacheAbandonedBytes: 16 * 1024 * 1024,
  maxCacheGathered: 16,
  maxCacheStaleMs: 3_600_000,
  cacheUnsharedMs: 10_000,
  maxCacheUnshared: 4096,
  cachePollMs: 500,
  leaseMs: 5_000,
  storePollMs: 250,
  storeMs: 1_000,
  maxPeerLookups: 64,
  maxLookups: 256,
  lookupMs: 5_000,
  lookupFailedMs: 2_000,
  connectMs: 10_000,
  openMs: 30_000,
  headMs: 10_000,
  idleMs: 60_000,
  stallMs: 15_000,
  yieldMs: 400,
  keepUploadMs: 7 * 24 * 3_600_000,
  minRateMs: 10_000,
  pulseMs: 10_000,
  quietMs: 250,
  lingerMs: 2_000,
  probeMs: 2_000,
  avoidMs: 30_000,
  avoidMaxMs: 300_000,
  retryMinMs: 250,
  retryMaxMs: 5_000,
  maxHttpHeadBytes: 32 * 1024,
  maxHttpFields: 200,
  maxHttpConnections: 16_384,
  maxHttpAtOnce: 8,
  maxHttpAhead: 16_384,
  maxHttpSiteRequests: 512,
  maxHttpServerRequests: 1024,
  httpPlaceMs: 5_000,
  maxHttpBodyBytes: 1024 * 1024 * 1024,
  maxHttpBodyAheadBytes: 64 * 1024,
  httpBodyMs: 10_000,
  minHttpBodyRate: 500,
  httpHalfClosedMs: 1_000,
  httpAnswerMs: 60_000,
  httpKeepMs: 4_000,
  httpClientKeepMs: 60_000,
  maxAccessLogBytes: 8 * 1024 * 1024,
  httpUpgradedMs: 3_600_000,
  graceMs: 10_000,
};

/** What one peer holds of `most` at most. */
export function peerShare(most: number, { maxPeerPercent }: Pick<Limits, 'maxPeerPercent'>): number {
  return Math.ceil((most * maxPeerPercent) / 100);
}
