/** `hopline gateway`: runs an HTTP gateway until it is told to stop. */

import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import {
  type AccessFormat,
  type AccessLog,
  type Algorithm,
  accessRecord,
  algorithms,
  asHoplineError,
  createHttpCache,
  defaultLimits,
  formatHop,
  type GatewayOptions,
  HoplineError,
  type Limits,
  type Logger,
  type LogLevel,
  logLevels,
  type OpenBackend,
  openAccessLog,
  openBackend,
  parseSite,
  type SiteOptions,
  startGateway,
  systemCode,
} from '../index.ts';
import { countFlag, listenFlag, listFlag, secondsFlag } from './flags.ts';
import { createLog } from './logging.ts';

interface GatewayFlags {
  readonly listen: { readonly host: string; readonly port: number };
  readonly site: readonly string[];
  readonly balance?: Algorithm;
  readonly trusted?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly cache?: string;
  readonly accessLog?: string;
  readonly logFormat: AccessFormat;
  readonly maskQuery?: readonly string[];
  readonly maxConnections?: number;
  readonly grace?: number;
  readonly logLevel: LogLevel;
  readonly json?: boolean;
}

export function addGatewayCommand(program: Command): void {
  program
    .command('gateway')
    .summary('run an HTTP gateway: reverse proxy and load balancer')
    .description(
      'Runs an HTTP/1.1 gateway for the hosts that it is told, and for no others. SIGHUP opens the access log again and\n' +
        'reads the certificate again.',
    )
    .requiredOption('--listen <HOST:PORT>', 'where to listen; port 0 picks a free one', listenFlag)
    .requiredOption(
      '--site <HOST=BACKEND>',
      'a host name, *.NAME or * for all others, and SERVER[,SERVER] [via HOPS], route:HOPS or root:DIR; repeatable',
      listFlag,
    )
    .addOption(new Option('--balance <ALGORITHM>', 'which server gets the next request').choices(algorithms))
    .option(
      '--trusted <CIDR>',
      'proxies whose Forwarded and X-Forwarded-* count; repeatable (default: nobody’s)',
      listFlag,
    )
    .option('--tls-cert <FILE>', 'speak TLS with clients; the certificate and those that it needs, in PEM')
    .option('--tls-key <FILE>', 'with --tls-cert: its key, in PEM')
    .option('--cache <DIR>', 'keep answers there, in a directory for nothing else; root: sites are not cached')
    .option('--access-log <FILE>', 'a line for each request is appended there; - for stdout')
    .addOption(
      new Option('--log-format <FORMAT>', 'of the access log').choices(['combined', 'json']).default('combined'),
    )
    .option('--mask-query <NAME>', 'do not log the value of this query parameter; * for all; repeatable', listFlag)
    .option('--max-connections <N>', `of clients at once (default: ${defaultLimits.maxHttpConnections})`, countFlag)
    .option(
      '--grace <SECONDS>',
      `let requests finish when stopped (default: ${defaultLimits.graceMs / 1000})`,
      secondsFlag,
    )
    .addOption(new Option('--log-level <LEVEL>', 'how much to log, on stderr').choices(logLevels).default('info'))
    .option('--json', 'log as JSON lines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline gateway --listen 127.0.0.1:8080 --site www.example.org=10.0.0.5:80,10.0.0.6:80\n' +
        '  $ hopline gateway --listen 127.0.0.1:8080 --site "files.example.org=route:10.0.0.1:7001,10.0.0.2:7001"\n' +
        '  $ hopline gateway --listen 0.0.0.0:8080 --site "*=https://origin.example.org" --access-log access.log\n' +
        '  $ hopline gateway --listen 0.0.0.0:443 --tls-cert site.pem --tls-key site.key --site "*=127.0.0.1:3000"',
    )
    .action(runGateway);
}

async function runGateway(flags: GatewayFlags): Promise<void> {
  const sites = flags.site.map(parseSite);
  const tls = await readTls(flags);
  const limits: Partial<Limits> = {
    ...(flags.maxConnections === undefined ? {} : { maxHttpConnections: flags.maxConnections }),
    ...(flags.grace === undefined ? {} : { graceMs: flags.grace }),
  };
  const { log } = await createLog({ level: flags.logLevel, format: flags.json ? 'json' : 'text' });
  const accessLog = await openLog(flags, log);
  const opened: Pick<OpenBackend, 'close'>[] = [];
  const start = async () => {
    const cache =
      flags.cache === undefined
        ? undefined
        : await createHttpCache({ directory: flags.cache, limits: { ...defaultLimits, ...limits }, log });
    if (cache) opened.push(cache);
    const served: SiteOptions[] = [];
    for (const { host, backend: text } of sites) {
      const backend = await openBackend(text, { limits }, { algorithm: flags.balance });
      opened.push(backend);
      const wrap: SiteOptions['wrap'] =
        text.kind === 'root' ? undefined : cache && ((exchange) => cache.wrap(exchange));
      served.push({ host, backend: backend.backend, wrap });
    }
    const onEnded: GatewayOptions['onEnded'] = accessLog && ((ended) => accessLog.write(accessRecord(ended)));
    return await startGateway({
      listen: flags.listen,
      sites: served,
      trusted: flags.trusted ?? [],
      tls,
      limits,
      log,
      onEnded,
    });
  };
  const closeRest = async () => {
    await Promise.all([...opened.map((backend) => backend.close()), accessLog?.close()]);
  };
  const gateway = await start().catch(async (error) => {
    await closeRest();
    throw error;
  });
  const reload = () => {
    accessLog?.reopen();
    if (tls) void renewTls(flags, gateway, log);
  };
  process.on('SIGHUP', reload);
  if (gateway.address) process.stdout.write(`listening on ${formatHop(gateway.address)}\n`);
  await stopRequested();
  const hurry = stopRequested().then(() => gateway.close({ graceMs: 0 }));
  await Promise.race([gateway.close(), hurry]);
  process.off('SIGHUP', reload);
  await closeRest();
}

async function openLog(flags: GatewayFlags, log: Logger): Promise<AccessLog | undefined> {
  const { accessLog: file, logFormat: format, maskQuery = [] } = flags;
  if (file === undefined) return undefined;
  const mask = maskQuery.includes('*') ? 'all' : maskQuery;
  return await openAccessLog({ file, format, maskQuery: mask, maxBytes: defaultLimits.maxAccessLogBytes, log });
}

async function readTls({ tlsCert, tlsKey }: GatewayFlags): Promise<GatewayOptions['tls']> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new HoplineError('USAGE_INVALID', '--tls-cert and --tls-key go together');
  }
  return { cert: await readPem('--tls-cert', tlsCert), key: await readPem('--tls-key', tlsKey) };
}

async function readPem(flag: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new HoplineError('USAGE_INVALID', `${flag}: cannot read ${file} (${systemCode(cause)})`, { cause });
  }
}

/** A certificate that is none leaves the old one in use. */
async function renewTls(
  flags: GatewayFlags,
  gateway: { setTls(tls: NonNullable<GatewayOptions['tls']>): void },
  log: Logger,
): Promise<void> {
  try {
    const tls = await readTls(flags);
    if (tls) gateway.setTls(tls);
    log.info({ file: flags.tlsCert }, 'certificate read again');
  } catch (error) {
    log.error({ file: flags.tlsCert }, `the old certificate stays: ${asHoplineError(error).message}`);
  }
}

/** Settles at the next SIGINT or SIGTERM. */
function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      process.off('SIGINT', settle).off('SIGTERM', settle);
      resolve();
    };
    process.on('SIGINT', settle).on('SIGTERM', settle);
  });
}
