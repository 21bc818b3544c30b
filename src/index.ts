/**
 * The library's public names, and nothing else.
 *
 * `parseRoute` reads a route file, `download` fetches its file, `downloadTree` what is in a directory, `upload` sends a
 * file, `startNode` runs a relay and origin, `startGateway` an HTTP gateway, `startService` what a configuration file says,
 * `fetchUrl` is an HTTP client.
 */

export type { Reroute } from './client/circuits.ts';
export type { DownloadEvent, DownloadOptions, DownloadResult } from './client/download.ts';
export { download } from './client/download.ts';
export type { DownloadFilesOptions } from './client/download-files.ts';
export { downloadFiles } from './client/download-files.ts';
export type { DownloadTreeOptions, TreeEvent, TreeResult } from './client/download-tree.ts';
export { downloadTree } from './client/download-tree.ts';
export type { SkippedEntries, TreeLink } from './client/manifest.ts';
export type { FileRange, RemoteFile } from './client/remote-file.ts';
export type { OpenRemoteOptions } from './client/remote-files.ts';
export { RemoteFiles } from './client/remote-files.ts';
export type { Delivered, Sender, SenderOptions } from './client/send.ts';
export { openSender } from './client/send.ts';
export type { FileOutcome, FilesEvent } from './client/several-files.ts';
export type { TransferOptions } from './client/transfer.ts';
export type { RoutesOptions } from './client/tunnels.ts';
export { Tunnels } from './client/tunnels.ts';
export type { UploadEvent, UploadOptions, UploadResult } from './client/upload.ts';
export { upload } from './client/upload.ts';
export type { Config, LogLevel, LogRules, NodeRules } from './config/config.ts';
export { logLevels } from './config/config.ts';
export { effectiveConfig } from './config/effective.ts';
export { formatConfig, readConfig } from './config.ts';
export type { Clock } from './core/clock.ts';
export { systemClock } from './core/clock.ts';
export type { ErrorCode } from './core/errors.ts';
export { asHoplineError, errorCodes, HoplineError, systemCode } from './core/errors.ts';
export { type FoldedLog, foldWarnings } from './core/folded-log.ts';
export type { Limits } from './core/limits.ts';
export { defaultLimits } from './core/limits.ts';
export type { Logger } from './core/log.ts';
export { silentLogger } from './core/log.ts';
export type { NodeStats } from './core/metrics.ts';
export { softwareVersion } from './core/software.ts';
export { escapeText, safeText } from './core/text.ts';
export type { AccessFormat, AccessRecord, MaskQuery } from './gateway/access-format.ts';
export type { AccessLog, AccessLogOptions } from './gateway/access-log.ts';
export { openAccessLog } from './gateway/access-log.ts';
export { accessRecord } from './gateway/access-record.ts';
export type { CacheStats, HttpCache, HttpCacheOptions, SiteCacheOptions } from './gateway/cache/cache.ts';
export { createHttpCache } from './gateway/cache/cache.ts';
export { flushHttpCache, listHttpCache } from './gateway/cache/inspect.ts';
export type { ListedEntry } from './gateway/cache/listed.ts';
export type { Exchange, ExchangeNotes, FileBody, HttpAnswer, HttpRequest } from './gateway/exchange.ts';
export type { FetchEvent, FetchHead, FetchOptions, FetchResult } from './gateway/fetch-url.ts';
export { fetchUrl } from './gateway/fetch-url.ts';
export { parseHttpUrl } from './gateway/http-url.ts';
export type { GatewayOptions, HttpServers, RunningGateway, SiteOptions } from './gateway/start.ts';
export { startGateway } from './gateway/start.ts';
export type { GatewayRules, HttpService, HttpServiceOptions, SiteRules } from './http-service.ts';
export { checkCertificate, startHttpService } from './http-service.ts';
export type { ChecksumName, DigestName } from './io/digest.ts';
export { prepareLogFile } from './io/disk/log-file.ts';
export type { Reservation } from './io/disk/target.ts';
export type { Resolver } from './io/resolve.ts';
export type { FileDigest } from './io/whole-digest.ts';
export type { RunningNode } from './node/listen.ts';
export { startNode } from './node/listen.ts';
export type { NodeOptions } from './node/options.ts';
export type { PolicyServer } from './node/policy-server.ts';
export type { PoolCheck, PoolOptions } from './node/pools.ts';
export type { UploadRules } from './node/uploads.ts';
export type { BackendOptions, OpenBackend } from './open-backend.ts';
export { openBackend } from './open-backend.ts';
export type { Algorithm } from './pool/balance.ts';
export { algorithms } from './pool/balance.ts';
export type { HealthRule } from './pool/health.ts';
export type { Query } from './pool/resolved.ts';
export type { PoolMembers } from './pool/sources.ts';
export type { Service } from './service.ts';
export { startService } from './service.ts';
export type { BackendText, SiteText } from './site-text.ts';
export { parseSite } from './site-text.ts';
export type { Address, Hop, PoolHop, Port } from './wire/address.ts';
export { describeHop, formatHop, isPoolHop, isPoolName, parseAddress, parseHop, parseListen } from './wire/address.ts';
export type { MessagePacket } from './wire/packet.ts';
export { createMessage, parseMessage } from './wire/packet.ts';
export { parseDuration, parseRate, parseSize } from './wire/quantity.ts';
export type { Place, Route, RouteOptions, RoutePlan } from './wire/route.ts';
export { formatRoute, parseRoute, parseVia, preferredRoute } from './wire/route.ts';
