/** A web server on loopback for one test, closed with its connections when the test ends. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';

export interface WebServer {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, or with https and localhost. */
  readonly url: string;
  /** The requests so far. */
  readonly requests: http.IncomingMessage[];
}

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  /** The certificate's file. */
  readonly file: string;
}

export async function startWebServer(
  t: TestContext,
  serve: http.RequestListener,
  certificate?: Certificate,
): Promise<WebServer> {
  const requests: http.IncomingMessage[] = [];
  const listener: http.RequestListener = (request, response) => {
    requests.push(request);
    serve(request, response);
  };
  const server = certificate ? https.createServer({ ...certificate }, listener) : http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const url = certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  return { port, url, requests };
}

/** Makes a certificate for `name` that vouches for itself; undefined where there is no openssl command. */
export function makeCertificate(directory: string, name: string, days = 2): Certificate | undefined {
  const [file, key, request] = ['pem', 'key', 'csr'].map((type) => path.join(directory, `${name}.${days}.${type}`));
  if (!file || !key || !request) return undefined;
  const run = (args: string) => execFileSync('openssl', args.split(' '), { cwd: directory, stdio: 'ignore' });
  try {
    run(`req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -subj /CN=${name} -out ${request}`);
    run(`x509 -req -in ${request} -signkey ${key} -days ${days} -out ${file}`);
  } catch {
    return undefined;
  }
  return { key: readFileSync(key), cert: readFileSync(file), file };
}
