// Clients of a server of messages. Usage: message-client.mjs kept|fresh COUNT CLIENTS PORT
// Prints `ready`, waits for a line, sends COUNT messages of 1 KiB over CLIENTS connections at a time, kept or a fresh one
// for each message, and prints {"ms":[...]}. Each answer is compared.
import { createHash } from 'node:crypto';
import net from 'node:net';

const [mode, count, clients, port] = process.argv.slice(2);
const payload = 'abcdefgh'.repeat(128);
const packet = JSON.stringify({ type: 0, srcid: 5, privPoliId: 'bench', payloadsize: payload.length, payload });
const hash = createHash('sha1').update(payload).digest('hex');

process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
const times = [];
let left = Number(count);
await Promise.all(Array.from({ length: Number(clients) }, work));
process.stdout.write(JSON.stringify({ ms: times.map((ms) => Math.round(ms * 1000) / 1000) }));

async function work() {
  let socket;
  while (left > 0) {
    left -= 1;
    const started = performance.now();
    socket ??= await connect();
    await ask(socket);
    times.push(performance.now() - started);
    if (mode === 'kept') continue;
    socket.destroy();
    socket = undefined;
  }
  socket?.destroy();
}

function connect() {
  const socket = net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  return new Promise((resolve, reject) => socket.once('error', reject).once('connect', () => resolve(socket)));
}

function ask(socket) {
  return new Promise((resolve, reject) => {
    let received = '';
    const take = (bytes) => {
      received += bytes;
      if (!received.endsWith('}')) return;
      socket.off('data', take);
      if (JSON.parse(received).payload === hash) resolve();
      else reject(new Error(received));
    };
    socket.on('data', take).write(packet);
  });
}
