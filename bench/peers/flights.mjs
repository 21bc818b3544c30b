// Sends first flights to a node, each over a connection of its own. Usage: flights.mjs FILE COUNT AT_ONCE PORT FROM EXPECT [BYTES]
// FILE has flights, each behind its length (4 bytes, big-endian); they are used in turn, COUNT of them, 0 for no end.
// FROM is the address to dial from; empty for the system to choose, which then finds ports again that were used a moment ago.
// Prints `ready`, waits for a line, waits for the first bytes of each answer, and prints
// {"ms":[...]} at the end. EXPECT is how an answer has to begin, in hex; nothing for whatever comes.
// With BYTES, so many at least have to come; then the connection is ended and read to its end.
import { readFileSync } from 'node:fs';
import net from 'node:net';

const [file, count, atOnce, port, from, expected = '', bytes = '0'] = process.argv.slice(2);
const flights = split(readFileSync(file));
const localAddress = from === '' ? undefined : from;
const last = Number(count) || Number.POSITIVE_INFINITY;
const wanted = Number(bytes);
const times = [];
let next = 0;

process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
await Promise.all(Array.from({ length: Number(atOnce) }, sendMany));
process.stdout.write(`${JSON.stringify({ ms: times })}\n`);

async function sendMany() {
  while (next < last) {
    const started = performance.now();
    await send(flights[next++ % flights.length]);
    if (Number.isFinite(last)) times.push(Math.round((performance.now() - started) * 1000) / 1000);
  }
}

function send(flight) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port: Number(port), host: '127.0.0.1', localAddress }, () => socket.write(flight));
    let hasAnswer = false;
    let received = 0;
    socket.on('data', (bytes) => {
      if (!hasAnswer && !bytes.toString('hex').startsWith(expected)) {
        reject(new Error(`the node answered ${bytes.subarray(0, 8).toString('hex')}`));
      }
      hasAnswer = true;
      received += bytes.length;
      if (wanted === 0) socket.destroy();
      else if (received >= wanted) socket.end();
    });
    socket.on('error', () => {});
    const isDone = () => (hasAnswer || expected === '') && received >= wanted;
    socket.on('close', () => (isDone() ? resolve() : reject(new Error('the node did not answer'))));
  });
}

function split(bytes) {
  const all = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    all.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
  }
  return all;
}
