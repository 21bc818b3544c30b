/** The two questions of a node that was not told where to listen. */

import net from 'node:net';
import type { NodeRules } from '../../config/config.ts';
import { HoplineError } from '../../core/errors.ts';
import { listen } from '../../io/listening/server-socket.ts';
import { parseListen } from '../../wire/address.ts';
import { openPrompts } from '../terminal/prompt.ts';

type Place = NonNullable<NodeRules['listen']>;

/** As the original program: where to listen, and what is served is the working directory, whatever the address. */
export async function askListen(): Promise<{ readonly listen: Place; readonly root: string }> {
  const prompts = openPrompts();
  try {
    const host = await prompts.ask('IP: ', (answer) => checkPlace(answer, '0'));
    const port = await prompts.ask('PORT: ', (answer) => checkPlace(host, answer));
    const place = placeAt(host, port);
    if (place) return { listen: place, root: '.' };
    throw new HoplineError(
      'USAGE_INVALID',
      `read IP "${host}" and PORT "${port}", expected an address of this machine and a port from 0 to 65535`,
    );
  } finally {
    prompts.close();
  }
}

function placeAt(host: string, port: string): Place | undefined {
  return parseListen(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
}

/** Throws unless a node could listen there now. */
async function checkPlace(host: string, port: string): Promise<void> {
  if (!placeAt(host, '0')) {
    throw new HoplineError('USAGE_INVALID', 'expected an address of this machine, such as 127.0.0.1');
  }
  const place = placeAt(host, port);
  if (!place) throw new HoplineError('USAGE_INVALID', 'expected a port from 0 to 65535, such as 7001; 0 is a free one');
  const server = net.createServer();
  await listen(server, place);
  await new Promise((resolve) => server.close(resolve));
}
