/** `hopline node`: runs a relay and origin until it is told to stop. */

import { type Command, Option } from 'commander';
import { type Config, logLevels, type NodeRules } from '../../config/config.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { checkUnchanged } from '../../core/fixed-settings.ts';
import { defaultLimits } from '../../core/limits.ts';
import { algorithms } from '../../pool/balance.ts';
import { holdKeyFile } from '../../secure/keys/held-key.ts';
import { startService } from '../../service.ts';
import {
  addressFlag,
  bytesFlag,
  countFlag,
  keyedAddressesFlag,
  listenFlag,
  listFlag,
  poolFlag,
  rateFlag,
  secondsFlag,
} from '../flags.ts';
import { createLog } from '../logging.ts';
import { giveSockets, type PassedSocket, takePassedSockets } from '../process/passed-sockets.ts';
import { answerLooks } from '../process/process-looks.ts';
import { isWorker } from '../process/signals.ts';
import { runUntilStopped } from '../process/until-stopped.ts';
import { say } from '../terminal/lines.ts';
import { adminOption, adminTokenOption } from './admin-flags.ts';
import { askListen } from './ask-listen.ts';
import { type NodeFlags, readNodeConfig } from './node-config.ts';
import { chooseIdentity } from './node-identity.ts';
import { showWorkers } from './show-workers.ts';
import { startLines } from './start-lines.ts';
import { reportListening, startWorkers } from './workers.ts';

export function addNodeCommand(program: Command): void {
  program
    .command('node')
    .summary('run a node: relay or origin, as each request asks')
    .description(
      'Runs a node. For each request it is a relay, if the route goes on, or the origin, if the route ends here.\n' +
        'Without --listen, or a file that says it, it asks for IP and PORT, a line each.',
    )
    .option('--config <FILE>', 'a configuration file, read again at SIGHUP; flags beside it take the place of its keys')
    .option('--listen <HOST:PORT>', 'where to listen; port 0 picks a free one', listenFlag)
    .option(
      '--root <DIR>',
      'the directory whose files are served (default: . on loopback, and after the questions; elsewhere none)',
    )
    .option(
      '--identity <FILE>',
      "the file of the node's key, for it alone (default: on loopback no key, elsewhere one made at the first start)",
    )
    .option(
      '--next <RULE>',
      'where legs may go on to: any, a CIDR, an address or a host, then maybe :PORT or :LOW-HIGH; repeatable. ' +
        'A node on loopback may go on to all of loopback, whatever the rules are; any other node nowhere else',
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
    .option(
      '--register <HOST:PORT>',
      'with --policy: a front to register with, HOST:PORT#hop1... to do so by the key of this node; repeatable',
      keyedAddressesFlag,
    )
    .option(
      '--register-from <CIDR>',
      'networks that servers may register from; repeatable. On loopback, loopback may; else nobody',
      listFlag,
    )
    .option(
      '--register-token-file <FILE>',
      'holds a token: servers that send it may register from anywhere, and this one sends it; also HOPLINE_REGISTER_TOKEN',
    )
    .option(
      '--registry <URL>',
      'share servers with other nodes through Redis: redis://[USER:PASSWORD@]HOST:PORT[/DATABASE], rediss:// for TLS; ' +
        'also HOPLINE_REGISTRY, which no list of processes shows',
    )
    .option('--advertise <HOST:PORT>', 'with --policy: where others reach this server (default: --listen)', addressFlag)
    .addOption(
      new Option(
        '--balance <ALGORITHM>',
        'who of a pool, or of the servers of a policy, is next (default: round-robin)',
      ).choices(algorithms),
    )
    .option(
      '--authorized-keys <FILE>',
      'whose keys may come, and what each may do: hopline key check; read again when it changes',
    )
    .option('--require-key', 'refuse requests that are not encrypted')
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
    .addOption(adminOption())
    .addOption(adminTokenOption())
    .option('--no-kernel', 'pass bytes through this process, never inside the kernel; also HOPLINE_KERNEL=off')
    .addOption(new Option('--log-level <LEVEL>', 'how much to log, on stderr (default: info)').choices(logLevels))
    .option('--json', 'log as JSON lines')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline node --listen 127.0.0.1:7001 --root ./files\n' +
        '  $ hopline node --config hopline.yaml\n' +
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
  const sockets = takePassedSockets();
  const readGiven = async () => giveSockets(await readNodeConfig(flags), sockets);
  const first = await readGiven();
  const asked = first.node.listen || first.gateway?.listen ? undefined : await askListen();
  // Of several processes the first one has chosen, and tells the others.
  const chosen = isWorker ? {} : await chooseIdentity({ ...asked, ...first.node }, say);
  const withAnswers = (one: Config) => ({ ...one, node: { ...asked, ...chosen, ...one.node } });
  const read = async () => withAnswers(await readGiven());
  let config = withAnswers(first);
  const { listen, root } = config.node;
  const graceMs = () => config.node.limits?.graceMs ?? defaultLimits.graceMs;
  const count = flags.workers ?? 1;
  if (count > 1 && !isWorker) {
    checkWorkers(listen, config.gateway, sockets);
    const isValid = async () => {
      const next = await readReloadable(read, listen);
      if (next) config = next;
      return next !== undefined;
    };
    const { more, release } = await holdForWorkers(config.node);
    if (asked && root !== undefined) more.push('--root', root);
    const options = { count, listen, more, announce: printStart, graceMs };
    const workers = startWorkers({ ...options, isValid: rereads(flags) ? isValid : undefined });
    return runUntilStopped(await showWorkers(workers, () => config, printStart)).finally(release);
  }
  const { log, set: setLog, end: endLog } = await createLog(config.log);
  // Whoever starts a node with a channel may look: the first of several workers, or a demo.
  if (process.channel) answerLooks(async () => (await starting).snapshot());
  const starting = startService(config, { log, isWorker });
  const reload = async () => {
    try {
      const next = await read();
      const changed = await (await starting).reload(next);
      config = next;
      setLog(next.log);
      log.info(
        { changed },
        changed.length > 0 ? 'configuration reloaded' : 'configuration read again: nothing changed',
      );
    } catch (error) {
      for (const problem of problemsOf(error)) log.error({}, `${refused}: ${problem}`);
    }
  };
  const announce = isWorker ? reportListening : printStart;
  const started = starting.then((service) => announce(startLines(service, config.node)));
  const close = async (how?: { readonly graceMs: number }) => {
    const service = await starting.catch(() => undefined);
    await service?.close(how);
  };
  // A worker is told to reload only if there is something to read again.
  const onHangup = rereads(flags) ? reload : undefined;
  await runUntilStopped({ started, reload: onHangup, graceMs, close, log }).finally(endLog);
}

function rereads({ config, authorizedKeys }: NodeFlags): boolean {
  return config !== undefined || authorizedKeys !== undefined;
}

/** The key file is this process's to hold, and all of them read it. Throws `USAGE_INVALID` for a key that they could not read. */
async function holdForWorkers({
  identity,
  identityFile: file,
}: NodeRules): Promise<{ more: string[]; release: () => Promise<void> }> {
  if (identity) {
    const message = '--workers with port 0 needs --identity FILE: workers cannot have a key that is in no file';
    throw new HoplineError('USAGE_INVALID', message);
  }
  if (file === undefined) return { more: [], release: async () => {} };
  const { isFile, release } = await holdKeyFile(file);
  if (isFile) return { more: ['--identity', file], release };
  await release();
  throw new HoplineError(
    'USAGE_INVALID',
    `--workers: read ${file}, expected a key file that each worker can read, not a pipe`,
  );
}

/** A cache has one process, what workers share is the node's port, and they open it by themselves. */
function checkWorkers(
  listen: NodeRules['listen'],
  gateway: Config['gateway'],
  sockets: readonly PassedSocket[],
): asserts listen {
  if (sockets.length > 0) {
    throw new HoplineError('USAGE_INVALID', '--workers goes without a socket that a service manager has opened');
  }
  if (listen && !gateway?.cache) return;
  const key = listen ? 'gateway.cache' : 'listen';
  throw new HoplineError('USAGE_INVALID', `--workers goes ${listen ? 'without' : 'with'} ${key} in the configuration`);
}

/** The configuration, if workers can take it; says why, if not. They cannot tell another `listen`: theirs is this process's. */
async function readReloadable<T extends Config>(
  read: () => Promise<T>,
  listen: NodeRules['listen'],
): Promise<T | undefined> {
  try {
    const config = await read();
    checkUnchanged({ listen }, { listen: config.node.listen });
    return config;
  } catch (error) {
    for (const problem of problemsOf(error)) say(`hopline: ${refused}: ${problem}`);
    return undefined;
  }
}

const refused = 'configuration refused, the old one goes on';

function problemsOf(error: unknown): readonly string[] {
  const { message, problems = [message] } = asHoplineError(error);
  return problems;
}

function printStart(lines: string): void {
  process.stdout.write(`${lines}\n`);
}
