// The shortest relay one writes in Node: two pipes. Usage: pipe-relay.mjs NEXT_PORT
import net from 'node:net';

const next = Number(process.argv[2]);
const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const far = net.connect({ port: next, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  near.pipe(far);
  far.pipe(near);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`),
);
