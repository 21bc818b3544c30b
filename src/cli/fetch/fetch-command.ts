/** `hopline fetch`: fetches a URL. */

import type { Command } from 'commander';
import { type RoutesOptions, Tunnels } from '../../client/remote/tunnels.ts';
import type { TransferOptions } from '../../client/transfer.ts';
import { HoplineError } from '../../core/errors.ts';
import type { FetchOptions } from '../../fetch/fetch-options.ts';
import { fetchUrl } from '../../fetch/fetch-url.ts';
import { readTextFile } from '../../io/disk/reading/text-file.ts';
import { parseVia } from '../../wire/route.ts';
import { checksumFlag, given, listFlag, secondsFlag, timesFlag } from '../flags.ts';
import { addSecurityFlags, type Secured, type SecurityFlags, secureRoutes } from '../key/client-security.ts';
import { addTimeFlags, type TimeFlags } from '../route-flags.ts';
import { runWithDefaults } from '../settings/flag-defaults.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { jsonLine, print } from '../terminal/lines.ts';
import { progressFlag } from '../terminal/progress-flag.ts';
import type { ReportFlags } from '../terminal/report.ts';
import { flushFetchCache, openFetchCache } from './fetch-cache.ts';
import { fieldFlag, methodFlag, readContent, traceOf, withTrace } from './fetch-content.ts';
import { openFetchLog } from './fetch-log.ts';
import { createFetchReport } from './fetch-report.ts';

/** The authorities of a whole system are a quarter of a megabyte. */
const certificatesRules = { what: 'the certificates', code: 'USAGE_INVALID', maxBytes: 16 * 1024 ** 2 } as const;

interface FetchFlags extends TimeFlags, SecurityFlags, ReportFlags {
  readonly request?: string;
  readonly head?: boolean;
  readonly data?: string;
  readonly header?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
  readonly checksum?: ReturnType<typeof checksumFlag>;
  readonly include?: boolean;
  readonly location?: boolean;
  readonly log?: string;
  readonly proxy?: string;
  readonly via?: readonly string[];
  readonly cacert?: string;
  readonly insecure?: boolean;
  readonly retry?: number;
  readonly cache: boolean;
  readonly cacheTtl?: number;
  readonly flush?: boolean;
}

export function addFetchCommand(program: Command): void {
  const fetch = program
    .command('fetch')
    .summary('fetch a URL')
    .description(
      'Fetches a URL over HTTP or HTTPS. Text goes to stdout; with -o the content goes into a file, and the same\n' +
        'command goes on with a file that is not whole. A status from 400 on is a failure.',
    )
    .argument('[URL]', 'http:// or https://; without either, http://')
    .option('-X, --request <METHOD>', 'the method (default: GET, or POST with -d)', methodFlag)
    .option('-I, --head', 'ask for the head alone, as -X HEAD does')
    .option('-d, --data <DATA>', 'content to send; @FILE for what is in a file')
    .option('-H, --header <FIELD>', "a field to send, 'Name: value'; repeatable", fieldFlag)
    .option('-o, --output <PATH>', 'where to write: a file, a directory to put it into, or - for stdout')
    .option('-f, --force', 'replace an existing file')
    .option(
      '--checksum <NAME:HEX>',
      'what the content must have before the file gets its name: sha256, sha512 or blake3',
      checksumFlag,
    )
    .option('-i, --include', 'print the head of the answer, too')
    .option('-L, --location', 'follow redirects, at most 10')
    .option('--log <FILE>', 'append a line for each request: date, time, request, status, type, size, file')
    .option('--proxy <HOST:PORT>', 'ask that proxy instead of the server')
    .option(
      '--via <HOPS>',
      'connect through these hops, HOST:PORT separated by commas, | between alternates; repeatable',
      listFlag,
    )
    .option('--cacert <FILE>', 'the authorities to believe, in PEM')
    .option('--insecure', 'believe any certificate')
    .option(
      '--retry <N>',
      'times to try again what may pass, such as a lost connection or a 503 (default: 0)',
      timesFlag,
    )
    .option('--cache-ttl <SECONDS>', 'how long an answer is fresh that does not say', secondsFlag)
    .option('--no-cache', 'neither take the answer from the cache nor store it there')
    .option('--flush', 'remove what the cache has of the URL, or everything, and fetch nothing')
    .option('-q, --quiet', 'print nothing but content and errors')
    .option('--json', 'print one JSON object a line: head, started, progress, retry, kept, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline fetch http://www.example.org/\n  $ hopline fetch https://www.example.org/big.iso -o big.iso --retry 5\n' +
        "  $ hopline fetch http://10.0.0.5:8080/api -d @order.json -H 'Content-Type: application/json'\n" +
        '  $ hopline fetch http://www.example.org/ -L -i --proxy 127.0.0.1:8080 --log fetch.log',
    )
    .action((url: string | undefined, _flags, command: Command) =>
      runWithDefaults<FetchFlags>(
        command,
        ({ output }) => (isForFile(output) ? process.stdout : process.stderr),
        ({ output, ...flags }) => startFetch(url, isForFile(output) ? { ...flags, output } : flags),
      ),
    );
  addSecurityFlags(fetch);
  addTimeFlags(fetch).addOption(progressFlag());
}

/** Whether `-o` names another place than stdout, where content goes anyway. */
function isForFile(output: string | undefined): output is string {
  return output !== undefined && output !== '-';
}

async function startFetch(url: string | undefined, flags: FetchFlags): Promise<void> {
  if (flags.flush) return flush(url, flags);
  if (url === undefined) throw new HoplineError('USAGE_INVALID', 'fetch needs a URL');
  await runFetch(url, flags);
}

async function flush(url: string | undefined, { quiet, json }: FetchFlags): Promise<void> {
  const count = await flushFetchCache(url);
  if (json) process.stdout.write(jsonLine({ event: 'flushed', count }));
  else if (!quiet) print(`${count} ${count === 1 ? 'answer' : 'answers'} removed`);
}

async function runFetch(url: string, flags: FetchFlags): Promise<void> {
  const method = flags.request ?? (flags.head ? 'HEAD' : undefined);
  if (method === 'HEAD' && flags.output !== undefined) {
    throw new HoplineError('USAGE_INVALID', 'HEAD brings no content to write to a file: leave out -o');
  }
  if (method === 'HEAD' && flags.checksum !== undefined) {
    throw new HoplineError('USAGE_INVALID', 'HEAD brings no content to compare: leave out --checksum');
  }
  const { body, fields: own } = await readContent(flags);
  const fields = withTrace(own ?? [], process.env.TRACEPARENT);
  const ca = flags.cacert && (await readTextFile(flags.cacert, certificatesRules));
  const stream = streamFor(flags);
  const report = createFetchReport(flags, stream, method === 'HEAD');
  const log = flags.log === undefined ? undefined : await openFetchLog(flags.log, url, report.say);
  const { signal, end } = startInterruption();
  const { connectTimeout, idleTimeout } = flags;
  const limits = given({ connectMs: connectTimeout, stallMs: idleTimeout, openMs: idleTimeout });
  const { output: path, force, checksum, location: follow, proxy, insecure, retry, deadline: deadlineMs } = flags;
  const cache = flags.cache ? await openFetchCache(report.say, flags.cacheTtl) : undefined;
  const choices = { cache, path, force, checksum, follow, proxy, ca, insecure, retry, deadlineMs };
  const onEvent: FetchOptions['onEvent'] = (event) => {
    log?.event(event);
    report.event(event);
  };
  let secured: Secured | undefined;
  try {
    secured = await secureVia(flags, { signal, limits });
    const dial = dialThrough(secured, { limits }, traceOf(fields));
    const result = await fetchUrl(url, {
      dial,
      method,
      fields,
      body,
      stream,
      signal,
      limits,
      onEvent,
      ...choices,
    });
    log?.done(result.path);
    report.done(result);
  } catch (failure) {
    const error = secured ? await secured.explain(failure) : failure;
    log?.failed(error);
    throw error;
  } finally {
    report.stop();
    await cache?.close();
    await log?.close();
    end();
  }
}

/** Where content goes that is not saved. Among JSON lines there is no place for it. */
function streamFor({ json, output }: FetchFlags): NodeJS.WriteStream {
  return json && output !== undefined ? process.stderr : process.stdout;
}

/** The hops that were given, with the keys that are known of them. Throws as `secureRoutes`, and for --require-key without hops. */
async function secureVia(flags: FetchFlags, options: TransferOptions): Promise<Secured | undefined> {
  if (flags.via) return secureRoutes(parseVia(flags.via, 'fetch').routes, flags, options);
  if (flags.requireKey) throw new HoplineError('USAGE_INVALID', '--require-key goes with --via');
  return undefined;
}

/** Connections behind the last of the hops, which must be allowed to open them; undefined without hops. */
function dialThrough(
  secured: Secured | undefined,
  { limits }: Pick<RoutesOptions, 'limits'>,
  traceparent: string | undefined,
): FetchOptions['dial'] {
  if (!secured) return undefined;
  const { routes, identity } = secured;
  const tunnels = new Tunnels({ routes, identity, limits });
  return (to, signal) => tunnels.open(to, signal, traceparent);
}
