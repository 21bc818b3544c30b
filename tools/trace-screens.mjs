// Writes the screens of docs/trace.md: what `hopline trace` draws of routes with something wrong, at 100 and at 60 columns.
//
// Usage: npm run screens. Nodes run in this process, on loopback; nothing is sent anywhere else.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatTrace } from '../dist/cli/trace/trace-report.js';
import { addressWidthOf } from '../dist/cli/trace/trace-text.js';
import { traceRoutes } from '../dist/client/trace/trace-route.js';
import { newKey, parseVia, startNode } from '../dist/index.js';

export const widths = [100, 60];
const listen = { host: '127.0.0.1', port: 0 };
const document = new URL('../docs/trace.md', import.meta.url);

/** What is drawn at each width, of one trace. */
export async function drawScreens() {
  const nodes = [];
  const start = async (options) => {
    const node = await startNode({ listen, limits: { lingerMs: 200 }, ...options });
    nodes.push(node);
    return `127.0.0.1:${node.address.port}`;
  };
  try {
    const { key: identity } = newKey();
    const pinned = `${await start({ identity })}#${identity.public.text}`;
    const late = await start({ wallClock: () => Date.now() - 10_800_000 });
    const gone = await start({});
    await nodes.pop().close();
    const { routes } = parseVia([`${pinned},${late},${gone}`, `${await start({})},192.0.2.10:7001`], 'any');
    const looks = await traceRoutes({ route: { routes }, intervalMs: 20 });
    const addressWidth = addressWidthOf(routes.flat(2));
    return new Map(widths.map((columns) => [columns, formatTrace(looks, { columns, rate: false, addressWidth })]));
  } finally {
    await Promise.all(nodes.map((node) => node.close({ graceMs: 0 })));
  }
}

async function writeScreens() {
  let text = readFileSync(document, 'utf8');
  for (const [columns, lines] of await drawScreens()) {
    const block = `<!-- screen ${columns} -->\n\n\`\`\`text\n${lines.join('\n')}\n\`\`\`\n`;
    text = text.replace(new RegExp(`<!-- screen ${columns} -->\\n(\\n\`\`\`text\\n[\\s\\S]*?\`\`\`\\n)?`), () => block);
  }
  writeFileSync(document, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeScreens();
