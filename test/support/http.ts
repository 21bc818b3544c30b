/** HTTP servers and gateways on loopback for one test, and clients that write the bytes themselves. */

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { type GatewayOptions, type RunningGateway, startGateway } from '../../src/gateway/server/start.ts';
import type { Address } from '../../src/wire/address.ts';

export interface TestBackend {
  readonly address: Address;
  readonly server: http.Server;
  /** The requests that came, in their order. */
  readonly requests: http.IncomingMessage[];
  stop(): Promise<void>;
}

/** Starts a server that answers `ok` unless told otherwise; ended when the test ends. */
export async function startBackend(
  t: TestContext,
  answer: http.RequestListener = (_request, response) => response.end('ok'),
  port = 0,
): Promise<TestBackend> {
  const requests: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  t.after(stop);
  return { address: hopAt((server.address() as net.AddressInfo).port), server, requests, stop };
}

export interface TestGateway extends RunningGateway {
  readonly port: number;
}

/** Starts a gateway on a port that the system picks; ended when the test ends. */
export async function startTestGateway(t: TestContext, options: Omit<GatewayOptions, 'listen'>): Promise<TestGateway> {
  const gateway = await startGateway({ listen: { host: '127.0.0.1', port: 0 }, ...options });
  t.after(() => gateway.close({ graceMs: 0 }));
  return { ...gateway, port: gateway.address?.port ?? 0 };
}

/** A gateway in front of one backend, which is its default site. */
export async function startBehind(t: TestContext, answer?: http.RequestListener) {
  const backend = await startBackend(t, answer);
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members: [backend.address] } }] });
  return { backend, gateway };
}

/** Sends `bytes` as they are and gives back all that comes until the other side ends. */
export async function exchangeBytes(port: number, bytes: string | Buffer): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return received;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
}

/** One request over a connection of its own. */
export async function ask(port: number, options: http.RequestOptions = {}, body?: string): Promise<TestAnswer> {
  const request = http.request({ host: '127.0.0.1', port, agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode ?? 0, headers: response.headers, trailers: response.trailers, body: text };
}

export function hopAt(port: number): Address {
  return { host: '127.0.0.1', port: port as Address['port'] };
}
