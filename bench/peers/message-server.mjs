// The least a server of messages can do, and the least a front can. Usage: message-server.mjs [NEXT_PORT]
// Takes what one read gives for one packet, parses it, and answers its SHA-1; with NEXT_PORT, parses it and passes it on.
import { createHash } from 'node:crypto';
import net from 'node:net';

const next = process.argv[2];
const server = net.createServer({ noDelay: true }, next === undefined ? answer : passOn);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`),
);

function answer(socket) {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    const { srcid, payload } = JSON.parse(bytes.toString());
    const hash = createHash('sha1').update(payload).digest('hex');
    socket.write(JSON.stringify({ type: 2, srcid: 1, destid: srcid, payloadsize: 40, payload: hash }));
  });
}

function passOn(near) {
  const far = net.connect({ port: Number(next), host: '127.0.0.1', noDelay: true });
  near.on('error', () => far.destroy()).on('close', () => far.destroy());
  far.on('error', () => near.destroy());
  near.on('data', (bytes) => {
    if (JSON.parse(bytes.toString()).privPoliId === undefined) near.destroy();
    far.write(bytes);
  });
  far.on('data', (bytes) => {
    JSON.parse(bytes.toString());
    near.write(bytes);
  });
}
