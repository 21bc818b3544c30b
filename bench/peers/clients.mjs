// Many clients at once in one process. Usage: clients.mjs native|http COUNT ADDRESS NAME
// A native client has the key in the file that HOPLINE_KEY_FILE names, if any.
// Prints `ready`, waits for a line, fetches NAME once for each client, and prints
// {"ms":[...],"firstByteMs":[...]}, or why the first one failed and exits with 1. The content is verified by native
// clients and dropped by all.
import http from 'node:http';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const [speaks, count, address, name] = process.argv.slice(2);
const fetchOnce = speaks === 'native' ? await nativeClient() : httpClient();

process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
const results = await Promise.all(Array.from({ length: Number(count) }, timed)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
const rounded = (values) => values.map((value) => Math.round(value * 1000) / 1000);
process.stdout.write(
  `${JSON.stringify({
    ms: rounded(results.map(({ ms }) => ms)),
    firstByteMs: rounded(results.map(({ firstByteMs }) => firstByteMs)),
  })}\n`,
);

async function timed() {
  const started = performance.now();
  let firstByteMs = 0;
  await fetchOnce(() => {
    firstByteMs ||= performance.now() - started;
  });
  return { ms: performance.now() - started, firstByteMs };
}

async function nativeClient() {
  const { download, parseVia, readKeyFile } = await import(pathToFileURL('dist/index.js').href);
  const route = parseVia(address, name);
  const { HOPLINE_KEY_FILE: keyFile } = process.env;
  const identity = keyFile === undefined ? undefined : await readKeyFile(keyFile);
  return (onBytes) =>
    download({
      route,
      identity,
      output: new Writable({ write: (_bytes, _encoding, done) => done() }),
      onEvent: (event) => event.kind === 'progress' && onBytes(),
    });
}

function httpClient() {
  const agent = new http.Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
  return (onBytes) =>
    new Promise((resolve, reject) => {
      const request = http.get(address + name, { agent }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
        response.on('data', onBytes).on('end', resolve).on('error', reject);
      });
      request.on('error', reject);
    });
}
