/** `hopline demo`: the whole of hopline on one machine. Starts a node for every hop of a route, downloads, stops them. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Command } from 'commander';
import { HoplineError } from '../../core/errors.ts';
import { formatHop } from '../../wire/address.ts';
import { parseRoute, preferredRoute } from '../../wire/route.ts';
import { rateFlag } from '../flags.ts';
import { ownFiles } from '../process/own-files.ts';
import { takeDemands } from '../process/signals.ts';
import { readRouteText } from '../route-text.ts';
import { ExitWith } from '../terminal/failure.ts';
import { say } from '../terminal/lines.ts';
import { addressOnly, DemoNode } from './demo-node.ts';

interface DemoFlags {
  readonly root: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly show?: boolean;
  readonly limitRate?: number;
}

export function addDemoCommand(parent: Command): void {
  parent
    .command('demo')
    .summary('start a node for every hop of a route here, download through them, stop them')
    .description(
      'Starts one node per hop of the route file on this machine, downloads its file through them, and stops them.\n' +
        'With --show it goes slowly and can be watched in a browser, where nodes can be killed, until Ctrl-C.',
    )
    .argument('[ROUTE_FILE]', 'the route file; its hops must be addresses of this machine', 'input.txt')
    .option('--root <DIR>', 'the directory that the nodes serve', '.')
    .option('-o, --output <PATH>', 'where to write: a file or a directory (default with --show: nowhere)')
    .option('-f, --force', 'replace an existing file')
    .option('--show', 'show all nodes on a page, and start a second node where the route names no alternate')
    .option(
      '--limit-rate <RATE>',
      'with --show: bytes a second, such as 40K (default: as many as bring the file in a minute)',
      rateFlag,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline demo input.txt --root ./files\n  $ hopline demo input.txt --root ./files --show',
    )
    .action(runDemo);
}

async function runDemo(file: string, flags: DemoFlags): Promise<void> {
  const plan = parseRoute(await readRouteText(file), { source: file });
  if (flags.show) {
    await (await import('./show-demo.ts')).showDemo(plan, flags);
    return;
  }
  if (flags.limitRate !== undefined) throw new HoplineError('USAGE_INVALID', '--limit-rate goes with --show');
  // The other ways of the route file are left alone: nobody would go them.
  const hops = preferredRoute(plan).hops.map(addressOnly);
  const nodes = hops.map((at, index) => new DemoNode({ at, next: hops.slice(index + 1, index + 2), root: flags.root }));
  const stopping = new AbortController();
  let client: ChildProcess | undefined;
  const release = takeDemands(() => {
    stopping.abort();
    for (const node of nodes) node.stop();
    client?.kill('SIGTERM');
  });
  try {
    for (const [index, node] of nodes.entries()) {
      await node.start(stopping.signal);
      say(`node ${index + 1} listens on ${formatHop(node.address)}`);
    }
    const more = [...(flags.output === undefined ? [] : ['-o', flags.output]), ...(flags.force ? ['--force'] : [])];
    client = spawn(process.execPath, [...ownFiles.entry, 'get', file, ...more], { stdio: 'inherit' });
    const [code] = (await once(client, 'exit')) as [number | null];
    throw new ExitWith(code ?? 130);
  } finally {
    await Promise.all(nodes.map((node) => node.end()));
    release();
  }
}
