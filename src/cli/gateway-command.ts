/** `hopline gateway`: runs an HTTP gateway until it is told to stop. */

import { type Command, Option } from 'commander';
import { type AdminAddress, formatAdminAddress } from '../admin/admin-address.ts';
import { type Config, type LogLevel, logLevels } from '../config/config.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import { defaultLimits } from '../core/limits.ts';
import type { AccessFormat } from '../gateway/access-log/access-format.ts';
import { type Algorithm, algorithms } from '../pool/balance.ts';
import { startService } from '../service.ts';
import type { GatewayRules } from '../sites/http-service.ts';
import { parseSite } from '../sites/site-text.ts';
import { formatHop } from '../wire/address.ts';
import { bytesFlag, countFlag, given, listenFlag, listFlag, mayUseKernel, secondsFlag } from './flags.ts';
import { createLog } from './logging.ts';
import { adminOf, adminOption, adminTokenOption } from './node/admin-flags.ts';
import { giveSockets, takePassedSockets } from './process/passed-sockets.ts';
import { runUntilStopped } from './process/until-stopped.ts';
import { print } from './terminal/lines.ts';

interface GatewayFlags {
  readonly listen: { readonly host: string; readonly port: number };
  readonly site: readonly string[];
  readonly balance?: Algorithm;
  readonly trusted?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly identity?: string;
  readonly cache?: string;
  readonly cacheSize?: number;
  readonly cacheTtl?: number;
  readonly accessLog?: string;
  readonly logFormat: AccessFormat;
  readonly maskQuery?: readonly string[];
  readonly admin?: AdminAddress;
  readonly adminTokenFile?: string;
  readonly maxConnections?: number;
  readonly grace?: number;
  readonly kernel: boolean;
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
    .option(
      '--identity <FILE>',
      'the key file by which the last hops of sites know this gateway, where their keys are given',
    )
    .option('--cache <DIR>', 'keep answers there, in a directory for nothing else; root: sites are not cached')
    .option('--cache-size <SIZE>', 'with --cache: bytes on disk, such as 500M or 10G (default: 1G)', bytesFlag)
    .option('--cache-ttl <SECONDS>', 'with --cache: how long answers are fresh that do not say', secondsFlag)
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
    .addOption(adminOption())
    .addOption(adminTokenOption())
    .option('--no-kernel', 'read files into this process, never send them inside the kernel; also HOPLINE_KERNEL=off')
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
  const limits = given({ maxHttpConnections: flags.maxConnections, graceMs: flags.grace });
  const logRules = { level: flags.logLevel, format: flags.json ? 'json' : 'text' } as const;
  const { log, end: endLog } = await createLog(logRules);
  const admin = adminOf(flags);
  const rules: Config = {
    node: { limits, kernel: mayUseKernel(flags), ...given({ identityFile: flags.identity }) },
    gateway: rulesOf(flags),
    ...(admin ? { admin } : {}),
    log: logRules,
  };
  const config = giveSockets(rules, takePassedSockets());
  const starting = startService(config, { log });
  const started = starting.then((service) => {
    if (service.gateway) print(`listening on ${formatHop(service.gateway)}`);
    if (service.admin) print(`admin on ${formatAdminAddress(service.admin)}`);
  });
  const reload = async () => {
    try {
      await (await starting).reload(config);
      log.info({}, 'access log opened again, certificate read again');
    } catch (error) {
      log.error({}, `all stays as it is: ${asHoplineError(error).message}`);
    }
  };
  const close = async (how?: { readonly graceMs: number }) => {
    const service = await starting.catch(() => undefined);
    await service?.close(how);
  };
  const graceMs = () => flags.grace ?? defaultLimits.graceMs;
  await runUntilStopped({ started, reload, graceMs, close, log }).finally(endLog);
}

function rulesOf(flags: GatewayFlags): GatewayRules {
  const { tlsCert: cert, tlsKey: key, accessLog: file, maskQuery = [], cache: directory } = flags;
  if ((cert === undefined) !== (key === undefined)) {
    throw new HoplineError('USAGE_INVALID', '--tls-cert and --tls-key go together');
  }
  const mask = maskQuery.includes('*') ? ('all' as const) : maskQuery;
  return {
    listen: flags.listen,
    sites: flags.site.map((text) => ({ ...parseSite(text), servers: { algorithm: flags.balance } })),
    trusted: flags.trusted,
    tls: cert === undefined || key === undefined ? undefined : { cert, key },
    cache: directory === undefined ? undefined : { directory, maxBytes: flags.cacheSize, ttlS: ttlOf(flags) },
    accessLog: file === undefined ? undefined : { file, format: flags.logFormat, maskQuery: mask },
  };
}

function ttlOf({ cacheTtl }: GatewayFlags): number | undefined {
  return cacheTtl === undefined ? undefined : cacheTtl / 1000;
}
