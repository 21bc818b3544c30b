/**
 * `hopline demo`: the whole of hopline on one machine. Starts a node for every hop of a route, downloads, stops them.
 *
 * Invariant: however it ends, no node is left behind; each is tied to this process by a channel and stops when that closes.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { HoplineError } from '../core/errors.ts';
import { formatHop, type Hop } from '../wire/address.ts';
import { parseRoute, preferredRoute } from '../wire/route.ts';
import { takeDemands } from './process/signals.ts';
import { readRouteText } from './route-text.ts';
import { ExitWith } from './terminal/failure.ts';
import { say } from './terminal/lines.ts';

const program = fileURLToPath(new URL('./main.js', import.meta.url));

interface DemoFlags {
  readonly root: string;
  readonly output?: string;
  readonly force?: boolean;
}

export function addDemoCommand(parent: Command): void {
  parent
    .command('demo')
    .summary('start a node for every hop of a route here, download through them, stop them')
    .description(
      'Starts one node per hop of the route file on this machine, downloads its file through them, and stops them.',
    )
    .argument('[ROUTE_FILE]', 'the route file; its hops must be addresses of this machine', 'input.txt')
    .option('--root <DIR>', 'the directory that the nodes serve', '.')
    .option('-o, --output <PATH>', 'where to write: a file or a directory')
    .option('-f, --force', 'replace an existing file')
    .addHelpText('after', '\nExample:\n  $ hopline demo input.txt --root ./files')
    .action(runDemo);
}

async function runDemo(file: string, flags: DemoFlags): Promise<void> {
  // The other ways of the route file are left alone: nobody would go them.
  const route = preferredRoute(parseRoute(await readRouteText(file), { source: file }));
  const children: ChildProcess[] = [];
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    for (const child of children) child.kill('SIGTERM');
  };
  const release = takeDemands(stop);
  try {
    for (const [index, hop] of route.hops.entries()) {
      if (interrupted) throw new HoplineError('INTERRUPTED', 'the demo was interrupted');
      children.push(await startChildNode(hop, route.hops[index + 1], flags.root, children));
      say(`node ${children.length} listens on ${formatHop(hop)}`);
    }
    const more = [...(flags.output === undefined ? [] : ['-o', flags.output]), ...(flags.force ? ['--force'] : [])];
    const client = spawn(process.execPath, [program, 'get', file, ...more], { stdio: 'inherit' });
    children.push(client);
    const [code] = (await once(client, 'exit')) as [number | null];
    throw new ExitWith(code ?? 130);
  } finally {
    await Promise.all(children.map(endChild));
    release();
  }
}

/** Starts a node process and waits for its "listening" line. Throws what it said if it ends before. */
async function startChildNode(
  hop: Hop,
  next: Hop | undefined,
  root: string,
  children: ChildProcess[],
): Promise<ChildProcess> {
  const onward = next ? ['--next', formatHop(next)] : [];
  const args = [program, 'node', '--listen', formatHop(hop), '--root', root, '--log-level', 'error', ...onward];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const listening = once(child.stdout as NodeJS.ReadableStream, 'data').then(() => undefined);
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null }));
  const failed = await Promise.race([listening, ended]);
  if (!failed) return child;
  if (children.some((other) => other.killed)) throw new HoplineError('INTERRUPTED', 'the demo was interrupted');
  process.stderr.write(said);
  throw new ExitWith(failed.code ?? 1);
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
