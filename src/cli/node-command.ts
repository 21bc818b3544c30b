/** `hopline node`: runs a relay and origin until it is told to stop. */

import { type Command, Option } from 'commander';
import {
  type Address,
  defaultLimits,
  formatHop,
  HoplineError,
  type Limits,
  type NodeOptions,
  type PoolMembers,
  parseListen,
  startNode,
  type UploadRules,
} from '../index.ts';
import { addressesFlag, bytesFlag, countFlag, listenFlag, listFlag, poolFlag, rateFlag, secondsFlag } from './flags.ts';
import { createLogger, type LogLevel, logLevels } from './logging.ts';
import { openPrompts } from './prompt.ts';
import { isStopMessage, isWorker, reportListening, runWorkers } from './workers.ts';

interface NodeFlags {
  readonly listen?: { readonly host: string; readonly port: number };
  readonly root: string;
  readonly next?: readonly string[];
  readonly pool?: readonly PoolMembers[];
  readonly writable?: boolean;
  readonly force?: boolean;
  readonly maxUpload?: number;
  readonly policy?: string;
  readonly id?: string;
  readonly register?: readonly Address[];
  readonly registerFrom?: readonly string[];
  readonly maxPayload?: number;
  readonly workers?: number;
  readonly digestCache?: string;
  readonly limitRate?: number;
  readonly limitRateTotal?: number;
  readonly maxConnections?: number;
  readonly idleTimeout?: number;
  readonly grace?: number;
  readonly kernel: boolean;
  readonly logLevel: LogLevel;
  readonly json?: boolean;
}

export function addNodeCommand(program: Command): void {
  program
    .command('node')
    .summary('run a node: relay or origin, as each request asks')
    .description(
      'Runs a node. For each request it is a relay, if the route goes on, or the origin, if the route ends here.\n' +
        'Without --listen it asks for IP and PORT, a line each.',
    )
    .option('--listen <HOST:PORT>', 'where to listen; port 0 picks a free one', listenFlag)
    .option('--root <DIR>', 'the directory whose files are served', '.')
    .option(
      '--next <RULE>',
      'where legs may go on to: any, a CIDR, an address or a host, then maybe :PORT or :LOW-HIGH; repeatable. ' +
        'A node on loopback may go on to loopback, any other node nowhere',
      listFlag,
    )
    .option(
      '--pool <NAME=MEMBERS>',
      'a pool that routes may name as @NAME: HOST:PORT separated by commas, to which legs may then go; repeatable',
      poolFlag,
    )
    .option('--digest-cache <DIR>', 'keep the digests of served files there, so that a new start does not hash again')
    .option('--writable', 'take uploads below the root')
    .option('-f, --force', 'with --writable: let an upload replace a file, if its client asks for that too')
    .option('--max-upload <SIZE>', 'with --writable: bytes of one file, such as 500M or 10G', bytesFlag)
    .option('--policy <ID>', 'serve this policy: answer its messages with their SHA-1')
    .option('--id <ID>', 'with --policy: what this server is called in its answers (default: its port)')
    .option('--register <HOST:PORT>', 'with --policy: a front to register with; repeatable', addressesFlag)
    .option(
      '--register-from <CIDR>',
      'networks that servers may register from; repeatable. On loopback, loopback may; else nobody',
      listFlag,
    )
    .option('--max-payload <BYTES>', `of a message (default: ${defaultLimits.maxPayloadBytes})`, countFlag)
    .option('--workers <N>', 'processes that share the listening socket (default: 1)', countFlag)
    .option('--limit-rate <RATE>', 'bytes a second of each circuit, each way, such as 500K, 10M or 1.5G', rateFlag)
    .option('--limit-rate-total <RATE>', 'of all circuits together, each way; of each worker', rateFlag)
    .option(
      '--max-connections <N>',
      `connections at once, of each worker (default: ${defaultLimits.maxConnections})`,
      countFlag,
    )
    .option('--idle-timeout <SECONDS>', `give up a silent leg (default: ${defaultLimits.idleMs / 1000})`, secondsFlag)
    .option(
      '--grace <SECONDS>',
      `let circuits finish when stopped (default: ${defaultLimits.graceMs / 1000})`,
      secondsFlag,
    )
    .option('--no-kernel', 'pass bytes through this process, never inside the kernel; also HOPLINE_KERNEL=off')
    .addOption(new Option('--log-level <LEVEL>', 'how much to log, on stderr').choices(logLevels).default('info'))
    .option('--json', 'log as JSON lines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline node --listen 127.0.0.1:7001 --root ./files\n' +
        '  $ hopline node --listen 10.0.0.2:7001 --root ./incoming --writable --max-upload 10G\n' +
        '  $ hopline node --listen 0.0.0.0:7001 --next 10.0.0.0/8:7001-7010 --next files.example.org:7001\n' +
        '  $ hopline node --listen 0.0.0.0:7001 --pool eu-files=10.0.1.5:7001,10.0.1.6:7001\n' +
        '  $ hopline node --listen 0.0.0.0:7001 --root ./files --limit-rate 10M --limit-rate-total 50M\n' +
        '  $ hopline node --listen 127.0.0.1:10000\n' +
        '  $ hopline node --listen 127.0.0.1:10001 --policy PP_1 --register 127.0.0.1:10000',
    )
    .action(runNode);
}

async function runNode(flags: NodeFlags): Promise<void> {
  const uploads = uploadRules(flags);
  const listen = flags.listen ?? (await askListen());
  if ((flags.workers ?? 1) > 1 && !isWorker) {
    return runWorkers(flags.workers ?? 1, formatHop(listen), printListening, stopRequested);
  }
  const limits: Partial<Limits> = {
    ...(flags.maxConnections === undefined ? {} : { maxConnections: flags.maxConnections }),
    ...(flags.maxPayload === undefined ? {} : { maxPayloadBytes: flags.maxPayload }),
    ...(flags.idleTimeout === undefined ? {} : { idleMs: flags.idleTimeout }),
    ...(flags.grace === undefined ? {} : { graceMs: flags.grace }),
  };
  const kernel = flags.kernel && process.env.HOPLINE_KERNEL !== 'off';
  const log = await createLogger({ level: flags.logLevel, json: flags.json ?? false });
  const store = flags.digestCache === undefined ? {} : { digestCache: flags.digestCache };
  const node = await startNode({
    listen,
    root: flags.root,
    next: flags.next ?? [],
    pools: flags.pool,
    ...store,
    limitRate: flags.limitRate,
    limitRateTotal: flags.limitRateTotal,
    uploads,
    ...packetOptions(flags),
    limits,
    kernel,
    log,
  }).finally(() => {
    // A process that started this one holds a channel to it; hearing it close must not keep a stopped node alive.
    process.channel?.unref();
  });
  const announce = isWorker ? reportListening : printListening;
  announce(formatHop(node.address));
  await stopRequested();
  const hurry = stopRequested().then(() => node.close({ graceMs: 0 }));
  await Promise.race([node.close(), hurry]);
}

function uploadRules({ writable, force, maxUpload }: NodeFlags): UploadRules | undefined {
  if (writable) return { force, maxBytes: maxUpload };
  if (!force && maxUpload === undefined) return undefined;
  throw new HoplineError('USAGE_INVALID', `${force ? '--force' : '--max-upload'} goes with --writable`);
}

/** Workers take no registrations: each would know other servers. */
function packetOptions({ policy, id, register, registerFrom = [] }: NodeFlags): Partial<NodeOptions> {
  const from = { registerFrom: isWorker ? false : registerFrom } as const;
  if (policy !== undefined) return { ...from, server: { policy, id, register } };
  if (id === undefined && register === undefined) return from;
  throw new HoplineError('USAGE_INVALID', '--id and --register are for a server: say which --policy');
}

function printListening(address: string): void {
  process.stdout.write(`listening on ${address}\n`);
}

async function askListen(): Promise<{ readonly host: string; readonly port: number }> {
  const prompts = openPrompts();
  try {
    const host = await prompts.ask('IP: ');
    const port = await prompts.ask('PORT: ');
    const listen = parseListen(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
    if (listen) return listen;
    throw new HoplineError(
      'USAGE_INVALID',
      `read IP "${host}" and PORT "${port}", expected an address of this machine and a port from 0 to 65535`,
    );
  } finally {
    prompts.close();
  }
}

/** Settles at the next SIGINT or SIGTERM, or when the process that started this one says so or goes away. */
function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      process.off('SIGINT', interrupt).off('SIGTERM', settle).off('disconnect', settle).off('message', hear);
      resolve();
    };
    // A worker leaves Ctrl-C, which the whole group gets, to the process that started it.
    const interrupt = () => isWorker || settle();
    const hear = (message: unknown) => isStopMessage(message) && settle();
    process.on('SIGINT', interrupt).on('SIGTERM', settle).on('disconnect', settle).on('message', hear);
  });
}
