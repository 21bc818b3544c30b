import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import type { AdminOptions } from '../../src/admin/admin-server.ts';
import type { ChainSight } from '../../src/admin/chain-sight.ts';
import { download, type NodeOptions, type Port, parseVia } from '../../src/index.ts';
import { ask, openAdminOf, sourceOf } from '../support/admin.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { readOpenMetrics } from '../support/open-metrics.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const executablePath = process.env.HOPLINE_CHROMIUM ?? '/usr/bin/chromium';
const quiet = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update'],
];
const skip = existsSync(executablePath) ? false : `there is no Chromium at ${executablePath} (HOPLINE_CHROMIUM)`;

/** A browser of its own, with an empty profile, that notes all that it loads and all that it complains of. */
async function openBrowser(
  t: TestContext,
): Promise<{ context: BrowserContext; loaded: string[]; complaints: string[] }> {
  const profile = await mkdtemp(path.join(tmpdir(), 'hopline-test-browser-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: quiet });
  t.after(async () => {
    await context.close();
    // A browser that has ended may have processes that still write.
    await rm(profile, { recursive: true, force: true, maxRetries: 20 });
  });
  const [loaded, complaints]: string[][] = [[], []];
  context.on('request', (request) => loaded?.push(request.url()));
  context.on('console', (message) => complaints?.push(message.text()));
  context.on('weberror', (error) => complaints?.push(String(error.error())));
  return { context, loaded: loaded ?? [], complaints: complaints ?? [] };
}

/** A relay with an origin behind it, a download that is under way, one refused, and a member that is down. */
async function startBusyRelay(t: TestContext) {
  const stop = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  // Before the directory that it writes to is removed.
  t.after(async () => {
    stop.abort();
    await running.catch(() => {});
  });
  const root = await makeTempRoot(t);
  await root.writeRandom('data.bin', 40_000_000);
  await root.writeRandom('small.bin', 300_000);
  const pools: NodeOptions['pools'] = [{ name: 'eu-files', members: [{ host: '127.0.0.1', port: 1 as Port }] }];
  const { nodes, route } = await startChain(t, 2, root.path, { limitRate: 300_000, pools });
  const relay = nodes[0] ?? assert.fail();
  await download({ route: route('small.bin'), output: `${root.path}/small` });
  await assert.rejects(download({ route: parseVia(`${addressOf(relay)},@nothing`, 'x'), output: `${root.path}/x` }));
  // The circuits of these are not the one that is waited for below.
  await until(() => relay.stats().open === 0);
  running = download({ route: route('data.bin'), output: `${root.path}/out`, signal: stop.signal });
  running.catch(() => {});
  await until(() => relay.sight().circuits.some(({ bytesBack }) => bytesBack > 100_000));
  const end = async () => {
    stop.abort();
    await assert.rejects(running);
    await until(() => relay.stats().open === 0);
  };
  const { port } = await openAdminOf(t, { addresses: [addressOf(relay)], node: relay });
  return { relay, port, end };
}

async function openLive(context: BrowserContext, port: number, width: number): Promise<Page> {
  const page = await context.newPage();
  await page.setViewportSize({ width, height: 800 });
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.locator('#live', { hasText: 'live' }).waitFor();
  return page;
}

/** By how many pixels the page is wider than the screen. */
const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

/** What axe finds on the page that keeps somebody from using it. */
async function findSerious(page: Page): Promise<string[]> {
  // As the page's own policy lets no other script in, what looks at it comes through the debugger.
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as {
    id: string;
    impact: string;
    nodes: { html: string }[];
  }[];
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

test('the page shows what goes on, loads nothing from elsewhere, and counts as /metrics does', { skip }, async (t) => {
  const { relay, port, end } = await startBusyRelay(t);
  const { context, loaded, complaints } = await openBrowser(t);
  const page = await openLive(context, port, 1400);
  await page
    .locator('#circuits td', { hasText: 'kernel' })
    .or(page.locator('#circuits td', { hasText: 'process' }))
    .first()
    .waitFor();
  const trace = relay.sight().circuits[0]?.trace ?? assert.fail();
  await page.locator('#circuits code', { hasText: trace }).waitFor();
  await page
    .locator('#picture svg.wide text', { hasText: /← \d.*iB\/s/ })
    .first()
    .waitFor();
  await page.locator('#picture svg.wide text', { hasText: 'POOL_UNKNOWN' }).waitFor();
  await page.locator('#pools', { hasText: /127\.0\.0\.1:1[\s\S]*down for/ }).waitFor();
  await end();
  await page.locator('#circuits', { hasText: 'No circuit is open' }).waitFor();
  const families = readOpenMetrics((await ask({ port }, '/metrics')).text);
  const samples = [...families.values()].flatMap((family) => family.samples);
  const shown = await page
    .locator('[data-metric]')
    .evaluateAll((elements) =>
      elements.map(
        (element) => [element.getAttribute('data-metric'), Number(element.getAttribute('data-value'))] as const,
      ),
    );
  assert.ok(shown.length >= 8);
  for (const [metric, value] of shown) {
    const [, name, role] = /^(\w+)(?:\{role="(\w+)"\})?$/.exec(metric ?? '') ?? [];
    const fitting = samples.filter(
      (sample) => sample.name === name && (role === undefined || sample.labels.role === role),
    );
    assert.equal(
      value,
      fitting.reduce((sum, each) => sum + each.value, 0),
      metric ?? '',
    );
  }
  assert.deepEqual(complaints, []);
  for (const url of loaded) assert.ok(url.startsWith(`http://127.0.0.1:${port}/`), url);
});

for (const [width, colorScheme] of [
  [360, 'light'],
  [800, 'dark'],
  [1400, 'light'],
] as const) {
  test(`at ${width} pixels, ${colorScheme}, axe finds nothing serious and nothing is wider than the screen`, {
    skip,
  }, async (t) => {
    const { port } = await startBusyRelay(t);
    const { context } = await openBrowser(t);
    const page = await openLive(context, port, width);
    await page.emulateMedia({ colorScheme });
    await page.locator('#circuits tbody tr').first().waitFor();
    await page.locator('summary').click();
    assert.equal(await page.evaluate(overflow), 0);
    assert.deepEqual(await findSerious(page), []);
  });
}

test('by keyboard all of it is reached, and Pause holds it still', { skip }, async (t) => {
  const { port, end } = await startBusyRelay(t);
  const { context } = await openBrowser(t);
  const page = await openLive(context, port, 800);
  const focused = 'document.activeElement.id || document.activeElement.tagName';
  const reached = new Set<unknown>();
  for (let step = 0; step < 20; step += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(focused));
  }
  for (const id of ['pause', 'SUMMARY', 'refusals', 'circuits', 'pools', 'totals', 'A']) assert.ok(reached.has(id), id);
  await page.focus('#pause');
  await page.keyboard.press('Enter');
  await page.locator('#live', { hasText: 'paused' }).waitFor();
  await end();
  await until(async () => JSON.parse((await ask({ port }, '/api/circuits')).text).circuits.length === 0);
  assert.equal(await page.locator('#circuits tbody tr').count(), 1);
  assert.equal(await page.evaluate(focused), 'pause');
  await page.keyboard.press('Enter');
  await page.locator('#circuits', { hasText: 'No circuit is open' }).waitFor();
});

/** What goes on in a chain of two places, of which one node is down; `names` are addresses and the name of the file. */
function chainSight(state: 'up' | 'down', names = ['127.0.0.1:7001', '127.0.0.1:7002', 'report.pdf']): ChainSight {
  const [first = '', second = '', name = ''] = names;
  const node = { address: first, state } as const;
  const counts = { open: 1, failed: 0, bytesForward: 100, bytesBack: 1000 };
  return {
    file: { name, size: 4000, bytes: 1000, state: 'under way' },
    places: [[node], [{ address: second, state: 'up' }]],
    legs: [
      { from: undefined, to: first, ...counts },
      { from: first, to: second, ...counts },
    ],
    news: [{ time: 0, text: name }],
  };
}

async function openChain(t: TestContext, sight: () => ChainSight, options: Partial<AdminOptions> = {}) {
  const source = sourceOf(t, { addresses: ['127.0.0.1:7001'] });
  return openAdminOf(
    t,
    { addresses: [] },
    { source: async () => ({ ...(await source()), chain: sight() }), ...options },
  );
}

test('a chain is shown as a picture, a table and what happened, and what its names say is text', async (t) => {
  const odd = ['<img src=x>:1', '"><script>:2', "<b>'&"];
  const { port } = await openChain(t, () => chainSight('down', odd));
  const { text } = await ask({ port }, '/');
  assert.doesNotMatch(text, /<img|<script>|<b>/);
  for (const part of [
    '✕ killed',
    'origin, 1 open',
    '25 %',
    '&lt;img src=x&gt;:1',
    '&lt;b&gt;&#39;&amp;',
    '<svg class="narrow"',
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.match(text, /<div id="controls" class="controls" hidden><button/, 'without scripts there is nothing to press');
});

test('a button of a chain does what it says, the picture follows, and the focus stays', { skip }, async (t) => {
  let state: 'up' | 'down' = 'up';
  let bytes = 1000;
  const turn = (to: 'up' | 'down') => () => {
    state = to;
  };
  const commands = new Map([
    ['kill/0', turn('down')],
    ['start/0', turn('up')],
  ]);
  const sight = () => {
    const { file, ...chain } = chainSight(state);
    bytes += 10;
    return { ...chain, file: { ...file, bytes } };
  };
  const { port } = await openChain(t, sight, { commands });
  const { context, complaints } = await openBrowser(t);
  const page = await openLive(context, port, 800);
  const kill = page.getByRole('button', { name: 'Kill 127.0.0.1:7001' });
  await kill.focus();
  const before = await page.locator('#picture progress').getAttribute('value');
  await until(async () => (await page.locator('#picture progress').getAttribute('value')) !== before);
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'Kill 127.0.0.1:7001');
  await page.keyboard.press('Enter');
  await page.locator('#picture svg.wide text', { hasText: '✕ killed' }).waitFor();
  await page.locator('summary').click();
  assert.deepEqual(await findSerious(page), []);
  await page.setViewportSize({ width: 360, height: 800 });
  assert.equal(await page.evaluate(overflow), 0);
  await page.getByRole('button', { name: 'Start 127.0.0.1:7001' }).click();
  await kill.waitFor();
  assert.deepEqual(complaints, []);
});

test('without scripts the page shows the same once', async (t) => {
  const { relay, port } = await startBusyRelay(t);
  const { text } = await ask({ port }, '/');
  const trace = relay.sight().circuits[0]?.trace ?? assert.fail();
  assert.doesNotMatch(text, /Trace id/, 'no transfer has one');
  for (const part of [trace, 'POOL_UNKNOWN', 'eu-files', '<svg class="wide"', 'data-metric="hopline_files_total"']) {
    assert.ok(text.includes(part), part);
  }
  assert.doesNotMatch(text, /<!--\w+-->/);
});

test('what peers say is text on the page, whatever it looks like', async (t) => {
  const { nodes } = await startChain(t, 1, (await makeTempRoot(t)).path);
  const sight = (nodes[0] ?? assert.fail()).sight();
  const odd = '<img src=x onerror=alert(1)>"\'&';
  const refusals = [{ from: odd, code: 'PEER_LOST' as const, why: odd, count: 1, agoSeconds: 1 }];
  const neighbours = [
    { from: odd, to: odd, open: 1, circuits: 1, failed: 0, bytesForward: 0, bytesBack: 0, idleSeconds: 0 },
  ];
  const facts = { role: 'relay', peer: odd, next: odd, trace: odd, traceId: `${odd} of all` } as const;
  const moved = { bytesForward: 0, bytesBack: 0, inKernel: false };
  const circuits = [{ id: 1, ageSeconds: 1, isOpening: false, ...facts, ...moved }];
  const { port } = await openAdminOf(t, {
    addresses: [odd],
    node: { sight: () => ({ ...sight, circuits, refusals, neighbours }) },
  });
  const { text } = await ask({ port }, '/');
  assert.doesNotMatch(text, /<img|="[^"]*'&(?!amp|#39|quot|lt|gt)/);
  assert.ok(text.includes('&amp; of all</code>'), 'a circuit has the trace id of its transfer');
  assert.ok(text.includes('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;'));
});
