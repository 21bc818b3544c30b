/**
 * The library's public names, and nothing else.
 *
 * `parseRoute` reads a route file, `download` fetches its file, `downloadTree` what is in a directory, `upload` sends a
 * file, `uploadFiles` several and `uploadTree` a directory, `listDirectory` and `statFile` tell what an origin has, `startNode` runs a relay and origin, `startGateway` an HTTP gateway, `startService` what a configuration file says,
 * `fetchUrl` is an HTTP client.
 */

export type { DownloadOptions } from './client/download/download.ts';
export { download } from './client/download/download.ts';
export type { DownloadTreeOptions, TreeResult } from './client/download/download-tree.ts';
export { downloadTree } from './client/download/download-tree.ts';
export type { DownloadFilesOptions } from './client/download/several-files.ts';
export { downloadFiles } from './client/download/several-files.ts';
export type { DownloadResult, FileOutcome } from './client/download-result.ts';
export type { CompareFileOptions, CompareResult } from './client/listings/compare-file.ts';
export { compareFile } from './client/listings/compare-file.ts';
export type { ListDirectoryOptions, ListResult, RemoteEntry } from './client/listings/list-directory.ts';
export { listDirectory } from './client/listings/list-directory.ts';
export type { StatFileOptions, StatResult } from './client/listings/stat-file.ts';
export { statFile } from './client/listings/stat-file.ts';
export type { Delivered, Sender, SenderOptions } from './client/messages/sender.ts';
export { openSender } from './client/messages/sender.ts';
export type { RemoteRange } from './client/remote/range-fetcher.ts';
export type { RemoteFile } from './client/remote/remote-file.ts';
export type { OpenRemoteOptions } from './client/remote/remote-files.ts';
export { RemoteFiles } from './client/remote/remote-files.ts';
export type { RoutesOptions, TunnelStream } from './client/remote/tunnels.ts';
export { Tunnels } from './client/remote/tunnels.ts';
export type { Finding, HopLook } from './client/trace/hop-look.ts';
export { connectOf, firstFailure, legOf, roundTripsOf } from './client/trace/hop-look.ts';
export type { TraceOptions } from './client/trace/trace-route.ts';
export { traceRoutes } from './client/trace/trace-route.ts';
export type { TransferOptions } from './client/transfer.ts';
export type {
  DownloadEvent,
  FilesEvent,
  Reroute,
  SkippedEntries,
  TransferEvent,
  TreeEvent,
  TreeLink,
  UploadEvent,
  UploadsEvent,
  UploadTreeEvent,
} from './client/transfer-events.ts';
export type { UploadFilesOptions } from './client/upload/several-uploads.ts';
export { uploadFiles } from './client/upload/several-uploads.ts';
export type { UploadOptions } from './client/upload/upload.ts';
export { upload } from './client/upload/upload.ts';
export type { UploadTreeOptions, UploadTreeResult } from './client/upload/upload-tree.ts';
export { uploadTree } from './client/upload/upload-tree.ts';
export type { UploadResult } from './client/upload-result.ts';
export type { Config, LogLevel, LogRules, NodeRules } from './config/config.ts';
export { logLevels } from './config/config.ts';
export { formatConfig, readConfig } from './config/config-files.ts';
export { effectiveConfig } from './config/effective.ts';
export type { Clock } from './core/clock.ts';
export { systemClock } from './core/clock.ts';
export type { ErrorCode } from './core/errors.ts';
export { asHoplineError, errorCodes, HoplineError } from './core/errors.ts';
export { type FoldedLog, foldWarnings } from './core/folded-log.ts';
export type { Limits } from './core/limits.ts';
export { defaultLimits } from './core/limits.ts';
export type { Logger } from './core/log.ts';
export { silentLogger } from './core/log.ts';
export type { NodeStats } from './core/metrics.ts';
export { softwareVersion } from './core/software.ts';
export { systemCode } from './core/system-errors.ts';
export { escapeText, safeText } from './core/text.ts';
export type { FetchEvent, FetchHead, FetchOptions, FetchResult } from './fetch/fetch-options.ts';
export { fetchUrl } from './fetch/fetch-url.ts';
export type { AccessFormat, AccessRecord, MaskQuery } from './gateway/access-log/access-format.ts';
export type { AccessLog, AccessLogOptions } from './gateway/access-log/access-log.ts';
export { accessRecord, openAccessLog } from './gateway/access-log/access-log.ts';
export { flushHttpCache, listHttpCache } from './gateway/cache/admin/inspect.ts';
export type { CacheStats, HttpCache, HttpCacheOptions, SiteCacheOptions } from './gateway/cache/cache.ts';
export { createHttpCache } from './gateway/cache/cache.ts';
export type { ListedEntry } from './gateway/cache/disk/entry-record.ts';
export type { GatewayOptions, HttpServers, RunningGateway, SiteOptions } from './gateway/server/start.ts';
export { startGateway } from './gateway/server/start.ts';
export type { Exchange, ExchangeNotes, FileBody, HttpAnswer, HttpRequest } from './http/exchange.ts';
export { parseHttpUrl } from './http/http-url.ts';
export type { ChecksumName, DigestName } from './io/digests/digest.ts';
export type { FileDigest } from './io/digests/whole-digest.ts';
export { prepareLogFile } from './io/disk/log-file.ts';
export type { Reservation } from './io/disk/writing/target.ts';
export type { Resolver } from './io/names/resolve.ts';
export type { RunningNode } from './node/listen.ts';
export { startNode } from './node/listen.ts';
export type { NodeOptions } from './node/options.ts';
export type { PolicyServer } from './node/packets/policy-server.ts';
export type { PoolCheck, PoolOptions } from './node/pools/pool-options.ts';
export type { UploadRules } from './node/uploads/claims.ts';
export type { Algorithm } from './pool/balance.ts';
export { algorithms } from './pool/balance.ts';
export type { HealthRule } from './pool/health.ts';
export type { Query } from './pool/sources/resolved.ts';
export type { PoolMembers } from './pool/sources/sources.ts';
export { createKeyFile, parseKeyFile, readKeyFile } from './secure/keys/key-file.ts';
export type { Service } from './service.ts';
export { startService } from './service.ts';
export type { GatewayRules, HttpService, HttpServiceOptions } from './sites/http-service.ts';
export { checkCertificate, startHttpService } from './sites/http-service.ts';
export type { OpenBackend, OpenBackendOptions } from './sites/open-backend.ts';
export { openBackend } from './sites/open-backend.ts';
export type { SiteRules } from './sites/open-sites.ts';
export type { BackendText, SiteText } from './sites/site-text.ts';
export { parseSite } from './sites/site-text.ts';
export type { Address, Hop, PoolHop, Port } from './wire/address.ts';
export { describeHop, formatHop, isPoolHop, isPoolName, parseAddress, parseHop, parseListen } from './wire/address.ts';
export type { KeyPair, PublicKey } from './wire/keys/key.ts';
export { newKey, parsePublicKey, parseSecretKey } from './wire/keys/key.ts';
export type { MessagePacket } from './wire/packet/packet.ts';
export { createMessage, parseMessage } from './wire/packet/packet.ts';
export { parseDuration, parseRate, parseSize } from './wire/quantity.ts';
export type { Place, Route, RouteOptions, RoutePlan } from './wire/route.ts';
export { formatRoute, parseRoute, parseVia, preferredRoute } from './wire/route.ts';
