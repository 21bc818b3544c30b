/** `hopline fetch`: fetches a URL. */

import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { defaultLimits, type FetchOptions, fetchUrl, HoplineError, type Limits, systemCode } from '../index.ts';
import { openFetchLog } from './fetch-log.ts';
import { createFetchReport } from './fetch-report.ts';
import { secondsFlag, timesFlag } from './flags.ts';
import { startInterruption } from './interruption.ts';
import { ExitWith, reportFailure } from './report.ts';

interface FetchFlags {
  readonly request?: string;
  readonly head?: boolean;
  readonly data?: string;
  readonly header?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
  readonly include?: boolean;
  readonly location?: boolean;
  readonly log?: string;
  readonly proxy?: string;
  readonly cacert?: string;
  readonly insecure?: boolean;
  readonly retry?: number;
  readonly deadline?: number;
  readonly connectTimeout?: number;
  readonly idleTimeout?: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function addFetchCommand(program: Command): void {
  program
    .command('fetch')
    .summary('fetch a URL')
    .description(
      'Fetches a URL over HTTP or HTTPS. Text goes to stdout; with -o the content goes into a file, and the same\n' +
        'command goes on with a file that is not whole. A status from 400 on is a failure.',
    )
    .argument('<URL>', 'http:// or https://; without either, http://')
    .option('-X, --request <METHOD>', 'the method (default: GET, or POST with -d)', methodFlag)
    .option('-I, --head', 'ask for the head alone, as -X HEAD does')
    .option('-d, --data <DATA>', 'content to send; @FILE for what is in a file')
    .option('-H, --header <FIELD>', "a field to send, 'Name: value'; repeatable", fieldFlag)
    .option('-o, --output <PATH>', 'where to write: a file, or a directory to put it into')
    .option('-f, --force', 'replace an existing file')
    .option('-i, --include', 'print the head of the answer, too')
    .option('-L, --location', 'follow redirects, at most 10')
    .option('--log <FILE>', 'append a line for each request: date, time, request, status, type, size, file')
    .option('--proxy <HOST:PORT>', 'ask that proxy instead of the server')
    .option('--cacert <FILE>', 'the authorities to believe, in PEM')
    .option('--insecure', 'believe any certificate')
    .option(
      '--retry <N>',
      'times to try again what may pass, such as a lost connection or a 503 (default: 0)',
      timesFlag,
    )
    .option('--deadline <SECONDS>', 'for all of it', secondsFlag)
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .option('--idle-timeout <SECONDS>', `without a byte (default: ${defaultLimits.stallMs / 1000})`, secondsFlag)
    .option('-q, --quiet', 'print nothing but content and errors')
    .option('--json', 'print one JSON object a line: head, started, progress, retry, kept, done or error')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline fetch http://www.example.org/\n  $ hopline fetch https://www.example.org/big.iso -o big.iso --retry 5\n' +
        "  $ hopline fetch http://10.0.0.5:8080/api -d @order.json -H 'Content-Type: application/json'\n" +
        '  $ hopline fetch http://www.example.org/ -L -i --proxy 127.0.0.1:8080 --log fetch.log',
    )
    .action(reportFetch);
}

async function reportFetch(url: string, flags: FetchFlags): Promise<void> {
  try {
    await runFetch(url, flags);
  } catch (error) {
    const json = flags.output === undefined ? process.stderr : process.stdout;
    throw new ExitWith(reportFailure(error, flags.json ? json : undefined));
  }
}

async function runFetch(url: string, flags: FetchFlags): Promise<void> {
  const method = flags.request ?? (flags.head ? 'HEAD' : undefined);
  if (method === 'HEAD' && flags.output !== undefined) {
    throw new HoplineError('USAGE_INVALID', 'HEAD brings no content to write to a file: leave out -o');
  }
  const { body, fields } = await readContent(flags);
  const ca = flags.cacert === undefined ? undefined : await readCertificates(flags.cacert);
  const log = flags.log === undefined ? undefined : await openFetchLog(flags.log, url);
  const report = createFetchReport(flags, method === 'HEAD');
  const { signal, end } = startInterruption();
  const limits: Partial<Limits> = {
    ...(flags.connectTimeout === undefined ? {} : { connectMs: flags.connectTimeout }),
    ...(flags.idleTimeout === undefined ? {} : { stallMs: flags.idleTimeout, openMs: flags.idleTimeout }),
  };
  const { output: path, force, location: follow, proxy, insecure, retry, deadline: deadlineMs } = flags;
  const choices = { path, force, follow, proxy, ca, insecure, retry, deadlineMs };
  const onEvent: FetchOptions['onEvent'] = (event) => {
    log?.event(event);
    report.event(event);
  };
  try {
    const result = await fetchUrl(url, {
      method,
      fields,
      body,
      stream: process.stdout,
      signal,
      limits,
      onEvent,
      ...choices,
    });
    log?.done(result.path);
    report.done(result);
  } catch (error) {
    log?.failed(error);
    throw error;
  } finally {
    report.stop();
    await log?.close();
    end();
  }
}

/** What is sent: the content, and the fields with its type unless that is given. */
async function readContent({ data, header = [] }: FetchFlags): Promise<Pick<FetchOptions, 'body' | 'fields'>> {
  if (data === undefined) return { body: undefined, fields: header };
  const isFile = data.startsWith('@');
  const type = isFile ? 'application/octet-stream' : 'application/x-www-form-urlencoded';
  const hasType = header.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type');
  const fields = hasType ? header : [...header, 'Content-Type', type];
  if (!isFile) {
    const bytes = Buffer.from(data);
    return { body: { length: bytes.length, open: () => Readable.from([bytes]) }, fields };
  }
  const file = data.slice(1);
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new HoplineError('USAGE_INVALID', `${file} is not a file that could be sent`);
    const length = found.size;
    // No more than was announced, even if the file grows meanwhile.
    const open = () => (length === 0 ? Readable.from([]) : createReadStream(file, { end: length - 1 }));
    return { body: { length, open }, fields };
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): HoplineError {
  if (error instanceof HoplineError) return error;
  return new HoplineError('USAGE_INVALID', `cannot read ${file} (${systemCode(error) ?? 'unknown'})`, { cause: error });
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** They say how a message is cut, which is not the user's to say, or belong to one connection. */
const framing = ['content-length', 'transfer-encoding', 'connection', 'upgrade', 'trailer', 'te', 'keep-alive'];

function methodFlag(text: string): string {
  if (token.test(text) && text.toUpperCase() !== 'CONNECT') return text;
  throw new InvalidArgumentError('Expected a method such as GET or DELETE; CONNECT is for --proxy to send.');
}

function fieldFlag(text: string, earlier: readonly string[] = []): readonly string[] {
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1).trim();
  if (!token.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw new InvalidArgumentError("Expected 'Name: value', in one line.");
  }
  if (framing.includes(name.toLowerCase())) throw new InvalidArgumentError(`${name} is set by hopline itself.`);
  return [...earlier, name, value];
}
