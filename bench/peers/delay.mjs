// A TCP proxy that makes a leg long: every byte, either way, arrives DELAY_MS later, at any rate.
// Opening a connection takes the round trip that a handshake would. Usage: delay.mjs TARGET_PORT DELAY_MS
import net from 'node:net';

const [target = 0, delayMs = 0] = process.argv.slice(2).map(Number);
const maxBytesHeld = 512 * 1024 * 1024;

const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const opened = performance.now() + 2 * delayMs;
  const far = new net.Socket({ allowHalfOpen: true });
  far.setNoDelay(true);
  pass(near, far, opened);
  pass(far, near, opened);
  setTimeout(() => {
    if (!far.destroyed) far.connect({ port: target, host: '127.0.0.1' });
  }, 3 * delayMs);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.stdout.write(`listening on 127.0.0.1:${server.address().port}\n`),
);

function pass(from, to, opened) {
  const late = [];
  let held = 0;
  let timer;
  const send = (bytes) => {
    if (bytes === null) {
      to.end();
      return;
    }
    to.write(bytes, () => {
      held -= bytes.length;
      if (held < maxBytesHeld && from.isPaused()) from.resume();
    });
  };
  const deliver = () => {
    timer = undefined;
    const now = performance.now();
    const dialled = !to.pending || to.connecting;
    while (dialled && late.length > 0 && late[0].due <= now) send(late.shift().bytes);
    if (late.length > 0) timer = setTimeout(deliver, late[0].due - now);
  };
  const push = (bytes) => {
    late.push({ bytes, due: Math.max(performance.now(), opened) + delayMs });
    held += bytes?.length ?? 0;
    if (held >= maxBytesHeld) from.pause();
    if (timer === undefined) timer = setTimeout(deliver, late[0].due - performance.now());
  };
  from.on('data', push);
  from.on('end', () => push(null));
  from.on('error', () => to.destroy());
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
  });
}
