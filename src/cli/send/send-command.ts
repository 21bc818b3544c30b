/** `hopline send`: messages to the servers of a policy, each compared with the hash that comes back. */

import type { Command } from 'commander';
import { openSender, type SenderOptions } from '../../client/messages/sender.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { readTextFile } from '../../io/disk/reading/text-file.ts';
import type { Address, Hop } from '../../wire/address.ts';
import { parseKeyedHop } from '../../wire/keyed-hop.ts';
import { withoutSecrets } from '../../wire/keys/key.ts';
import { createMessage, type MessagePacket, parseMessage } from '../../wire/packet/packet.ts';
import { addressFlag, countFlag, given, secondsFlag } from '../flags.ts';
import { addSecurityFlags, type Secured, type SecurityFlags, secureRoutes } from '../key/client-security.ts';
import { addPoolFlags, type PoolFlags, readOwnPools } from '../route-flags.ts';
import { ExitWith, reportFailure, tellFailureOn } from '../terminal/failure.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { formatRows, jsonLine } from '../terminal/lines.ts';
import { openPrompts } from '../terminal/prompt.ts';
import { sendMany, tellMany } from './send-many.ts';

/** How long a message may be is for the front to say. */
const maxPacketBytes = Number.POSITIVE_INFINITY;

interface SendFlags extends PoolFlags, SecurityFlags {
  readonly to?: Address;
  readonly via?: string;
  readonly id?: string;
  readonly count?: number;
  readonly concurrency: number;
  readonly connectTimeout?: number;
}

export function addSendCommand(program: Command): void {
  const send = program
    .command('send')
    .summary('send messages to the servers of a policy')
    .description(
      'Sends the message of a packet file to a server of its policy, and compares the SHA-1 that comes back.\n' +
        'Without an argument it asks for policy and payload. On a terminal it asks whether to try again.',
    )
    .argument('[PACKET_FILE]', 'a JSON object with "type": 0, "srcid", "privPoliId" and "payload"')
    .option('--to <HOST:PORT>', 'the front, or a server itself', addressFlag)
    .option('--via <HOPS>', 'go over these hops, HOST:PORT separated by commas; the last is the front')
    .option('--id <ID>', 'send as this client')
    .option('--count <N>', 'send it so many times, and print a summary', countFlag)
    .option('--concurrency <N>', 'connections at once, for --count', countFlag, 1)
    .option('--json', 'print one JSON object')
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline send packet.json --to 127.0.0.1:10000\n' +
        '  $ hopline send --via 10.0.0.1:7001,10.0.0.2:10000\n' +
        '  $ hopline send packet.json --to 127.0.0.1:10000 --count 10000 --concurrency 8',
    )
    .action((file: string | undefined, flags: SendFlags) =>
      tellFailureOn(flags.json ? process.stdout : undefined, () => runSend(file, flags)),
    );
  addSecurityFlags(addPoolFlags(send));
}

async function runSend(file: string | undefined, flags: SendFlags): Promise<void> {
  const asked = hopsOf(flags);
  const pools = await readOwnPools(flags);
  const message = file === undefined ? await askMessage(flags.id) : await readPacket(file, flags.id);
  const { signal, end } = startInterruption(new HoplineError('INTERRUPTED', 'interrupted'));
  try {
    const { options, explain } = await secureEntry(asked, flags, { pools, signal });
    if (flags.count === undefined) return await sendOne(message, options, explain, flags);
    const outcome = await sendMany(message, options, { count: flags.count, concurrency: flags.concurrency });
    tellMany(outcome, flags.json ?? false);
    if (outcome.failure) throw await explain(outcome.failure);
  } finally {
    end();
  }
}

/** Sends until it has been answered, or nobody wants to try again. */
async function sendOne(
  message: MessagePacket,
  options: SenderOptions,
  explain: Secured['explain'],
  flags: SendFlags,
): Promise<void> {
  for (;;) {
    try {
      const { server, hash, elapsedMs } = await deliver(message, options);
      const { policy } = message;
      if (flags.json) {
        process.stdout.write(jsonLine({ event: 'delivered', server, policy, hash, elapsedMs }));
        return;
      }
      const rows = [
        ['server', server ?? 'unnamed'],
        ['policy', policy],
        ['sha1', hash],
      ] as const;
      const words = ['Transmission successfully received by server', 'Hash of payload is correct'];
      process.stdout.write(`${words.join('\n')}\n${formatRows(rows)}`);
      return;
    } catch (failure) {
      const error = await explain(failure);
      if (flags.json || asHoplineError(error).code === 'INTERRUPTED') throw error;
      await offerAnother(error);
    }
  }
}

async function deliver(message: MessagePacket, options: SenderOptions) {
  const sender = await openSender(options);
  try {
    return await sender.send(message);
  } finally {
    await sender.close();
  }
}

/** Tells what failed and asks, where there is somebody to ask. Throws unless it is to be tried again. */
async function offerAnother(error: unknown): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw error;
  const exitCode = reportFailure(error);
  const prompts = openPrompts();
  try {
    const answer = await prompts.ask('Try again? [y/N] ', (text) => {
      if (!/^(y|yes|n|no)?$/i.test(text)) throw new HoplineError('USAGE_INVALID', 'expected y or n');
    });
    if (!/^y/i.test(answer)) throw new ExitWith(exitCode);
  } finally {
    prompts.close();
  }
}

function hopsOf({ to, via }: SendFlags): readonly Hop[] {
  if ((to === undefined) === (via === undefined)) {
    throw new HoplineError('USAGE_INVALID', 'send needs --to or --via, and not both');
  }
  return via?.split(',').map(parseViaHop) ?? (to ? [to] : []);
}

/**
 * Where messages go to, with the keys that are known. What --to names may be an original, so nobody asks it for its key; with
 * one that is known it is the one hop of a circuit.
 */
async function secureEntry(
  asked: readonly Hop[],
  flags: SendFlags,
  { pools, signal }: Pick<SenderOptions, 'pools' | 'signal'>,
): Promise<{ readonly options: SenderOptions; readonly explain: Secured['explain'] }> {
  const { to, connectTimeout } = flags;
  const { TRACEPARENT: traceparent } = process.env;
  const common = { pools, signal, traceparent, limits: given({ connectMs: connectTimeout }) };
  const secured = await secureRoutes([asked.map((hop) => [hop])], flags, { ...common, mayAsk: to === undefined });
  const { identity, explain } = secured;
  const hops = secured.routes.flat(2);
  const isSealed = hops.at(-1)?.key !== undefined;
  const entry = to && !isSealed ? { to } : { via: hops };
  return { options: { ...common, ...entry, identity }, explain };
}

function parseViaHop(text: string, index: number): Hop {
  const at = `--via, hop ${index + 1}`;
  return parseKeyedHop(text, at, (read, expected) => {
    return new HoplineError('ROUTE_SYNTAX', `${at}: read "${withoutSecrets(read)}", expected ${expected}`);
  });
}

async function askMessage(id = '1'): Promise<MessagePacket> {
  const prompts = openPrompts();
  try {
    const policy = await prompts.ask('Policy: ', (answer) => checkPolicy(id, answer));
    return createMessage(id, policy, await prompts.ask('Payload: '));
  } finally {
    prompts.close();
  }
}

function checkPolicy(id: string, policy: string): void {
  if (policy === '') throw new HoplineError('USAGE_INVALID', 'expected the name of a policy, such as PP_1');
  createMessage(id, policy, '');
}

async function readPacket(file: string, id: string | undefined): Promise<MessagePacket> {
  const text = await readTextFile(file, { what: 'the packet file', code: 'USAGE_INVALID', maxBytes: maxPacketBytes });
  try {
    return parseMessage(text, id);
  } catch (cause) {
    throw new HoplineError('USAGE_INVALID', `the packet file ${file}: ${asHoplineError(cause).message}`, { cause });
  }
}
