// http-proxy-3 in front of one server, with kept-alive connections. Usage: http-proxy.mjs NEXT_PORT
import http from 'node:http';
import { createProxyServer } from 'http-proxy-3';

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const proxy = createProxyServer({ target: `http://127.0.0.1:${process.argv[2]}`, agent, xfwd: true });
proxy.on('error', (_error, _request, response) => response.writeHead?.(502).end());
const server = http.createServer((request, response) => proxy.web(request, response));
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`),
);
