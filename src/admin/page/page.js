/**
 * The page of a node: what each look at it says, as HTML and SVG.
 *
 * Runs twice: in the node, for the page as it is first sent and for whoever runs no scripts, and in the browser for each look after.
 * Everything that comes from other machines goes through `html`, which escapes it.
 * Invariant: colour never says anything alone; nothing is loaded from anywhere else.
 */

import { renderChain, renderControls, renderLegs, renderNews } from './chain.js';
import {
  count,
  countOf,
  formatAge,
  formatBytes,
  formatNumber,
  formatRate,
  html,
  right,
  sum,
  table,
  wrapped,
} from './markup.js';
import { renderPicture } from './picture.js';

/** Seconds before its end that a key or certificate is pointed out. */
const soonSeconds = 30 * 24 * 3600;

/** The inside of each section, by its id. */
export function renderSections(view, points) {
  const { chain } = view.snapshot;
  return {
    title: renderTitle(view),
    now: renderNow(view),
    picture: chain ? renderChain(view) : renderPicture(view),
    neighbours: chain ? renderLegs(view) : renderNeighbours(view),
    controls: chain ? renderControls(chain) : '',
    news: chain ? renderNews(chain) : '',
    refusals: renderRefusals(view),
    circuits: renderCircuits(view),
    pools: renderPools(view),
    charts: renderCharts(points),
    ends: renderEnds(view),
    totals: renderTotals(view),
  };
}

function renderTitle({ snapshot }) {
  const { state, troubles, addresses, version, processes, vitals, time, key } = snapshot;
  const isWell = state === 'serving' && troubles.length === 0;
  const mark = isWell ? html`<strong class="good">✓ ${state}</strong>` : html`<strong class="bad">✕ ${state}</strong>`;
  const where = addresses.length > 0 ? ` on ${addresses.join(', ')}` : '';
  const workers = processes.length > 1 ? `, ${processes.length} processes` : '';
  const age = formatAge((time - vitals.startedAt) / 1000);
  return html`<p>${mark}${where} <span class="dim">· version ${version} · up ${age}${workers}</span></p>
    ${key ? html`<p class="dim">key <code>${key}</code></p>` : ''}
    ${troubles.map((trouble) => html`<p class="bad">✕ ${trouble}</p>`)}`;
}

function renderNow({ snapshot, point }) {
  const { node, http, vitals } = snapshot;
  const tiles = [];
  if (node) {
    const { stats } = node;
    tiles.push(['Passed on', formatRate(point.relay), countOf(node.open.relay, 'circuit')]);
    tiles.push(['Served here', formatRate(point.origin), countOf(node.open.origin, 'circuit')]);
    tiles.push(['Connections', count(stats.open), `of ${count(node.maxConnections)}`]);
  }
  if (http) {
    tiles.push(['HTTP', formatRate(point.http), `${countOf(http.underWay, 'request')} under way`]);
    const asked = (http.cache?.hits ?? 0) + (http.cache?.misses ?? 0);
    const share = asked > 0 ? `${Math.round((100 * http.cache.hits) / asked)} %` : 'none yet';
    if (http.cache) tiles.push(['Cache hits', share, `of ${countOf(asked, 'request')}`]);
  }
  const refused = sum(node?.stats.failures) + sum(http?.stats.failures);
  tiles.push(['Refused, failed', `${formatNumber(point.refusals)} /s`, `${count(refused)} since the start`]);
  const lag = vitals.loopLagSeconds * 1000;
  tiles.push([
    'Process',
    formatBytes(vitals.residentBytes),
    `event loop ${lag < 10 ? lag.toFixed(1) : Math.round(lag)} ms late`,
  ]);
  const shown = tiles.map(
    ([name, value, more]) => html`<div class="tile"><dt>${name}</dt><dd>${value}<small>${more}</small></dd></div>`,
  );
  return html`<dl class="tiles">${shown}</dl>`;
}

/* Tables. */

function renderNeighbours({ snapshot, neighbourSpeeds }) {
  const { neighbours = [] } = snapshot.node ?? {};
  const head = ['From', 'To', '>Open', '>Circuits', '>Failed', '>→', '>←', '>→ in all', '>← in all'];
  const lines = neighbours.map((pair, index) => [
    pair.from,
    pair.to ?? 'files of this node',
    right(count(pair.open)),
    right(count(pair.circuits)),
    right(pair.failed > 0 ? html`<span class="bad">✕ ${count(pair.failed)}</span>` : '0'),
    right(formatRate(neighbourSpeeds[index].forward)),
    right(formatRate(neighbourSpeeds[index].back)),
    right(formatBytes(pair.bytesForward)),
    right(formatBytes(pair.bytesBack)),
  ]);
  return table('Neighbours of this node', head, lines, 'Nobody has come yet.');
}

function renderRefusals({ snapshot }) {
  const { node, http } = snapshot;
  const known = [...(node?.refusals ?? [])].sort((one, other) => one.agoSeconds - other.agoSeconds);
  const lines = known.map(({ from, code, why, count: times, agoSeconds }) => [
    html`<span class="bad">✕ ${code}</span>`,
    from,
    right(count(times)),
    `${formatAge(agoSeconds)} ago`,
    wrapped(why || ''),
  ]);
  const failed = Object.entries(http?.stats.failures ?? {}).map(([code, times]) => [
    html`<span class="bad">✕ ${code}</span>`,
    'HTTP clients',
    right(count(times)),
    '',
    wrapped('see the access log'),
  ]);
  const head = ['What', 'Who came', '>Times', 'Last', 'Why'];
  return table(
    'Refusals and circuits that broke',
    head,
    [...lines, ...failed],
    'Nobody was refused, and nothing broke.',
  );
}

function renderCircuits({ snapshot, circuitSpeeds }) {
  const { node } = snapshot;
  const circuits = node?.circuits ?? [];
  // Few clients say one, and it takes a quarter of the line.
  const ofTransfers = circuits.some(({ traceId }) => traceId);
  const lines = circuits.map((circuit, index) => {
    const { forward, back } = circuitSpeeds[index];
    return [
      circuit.peer,
      circuit.next ?? 'files of this node',
      right(formatAge(circuit.ageSeconds)),
      right(formatRate(forward + back)),
      right(formatBytes(circuit.bytesForward)),
      right(formatBytes(circuit.bytesBack)),
      circuit.isOpening ? html`<strong>being opened</strong>` : circuit.inKernel ? 'kernel' : 'process',
      circuit.secure === undefined ? 'not seen' : circuit.secure ? 'encrypted' : 'plain',
      code(circuit.trace),
      ...(ofTransfers ? [code(circuit.traceId)] : []),
    ];
  });
  const all = (node?.open.relay ?? 0) + (node?.open.origin ?? 0);
  const caption =
    all > circuits.length ? `The oldest ${circuits.length} of ${count(all)}` : 'Circuits that are open now';
  const head = ['From', 'To', '>Age', '>Speed', '>→', '>←', 'Moved by', 'Sealed', 'Trace, as in every log'];
  if (ofTransfers) head.push('Trace id of the transfer');
  return table(caption, head, lines, 'No circuit is open.');
}

function code(text) {
  return text ? html`<code>${text}</code>` : '';
}

function renderPools({ snapshot }) {
  const pools = [...(snapshot.node?.pools ?? []), ...(snapshot.http?.pools ?? [])];
  const lines = pools.flatMap(({ name, members }) =>
    members.map((member) => [
      name,
      member.name,
      memberState(member),
      right(count(member.inFlight)),
      right(count(member.requests)),
      right(count(member.failed)),
      member.load ? right(`${count(member.load.open)} of ${count(member.load.max)}`) : right(''),
      wrapped(member.trouble ?? ''),
    ]),
  );
  const head = ['Pool', 'Member', 'State', '>Under way', '>Tried', '>Failed', '>Its load', 'Last trouble'];
  return table('Members of pools, and why they are out', head, lines, 'There are no pools.');
}

function memberState({ up, ejected, downSeconds }) {
  if (!up) return html`<span class="bad">✕ down for ${formatAge(downSeconds)}</span>`;
  return ejected ? html`<span class="bad">! left out for a while</span>` : html`<span class="good">✓ up</span>`;
}

function renderEnds({ snapshot }) {
  const { node, http, time } = snapshot;
  const lines = [];
  if (http?.certificate)
    lines.push([
      'Certificate',
      http.certificate.subject.replaceAll('\n', ', '),
      ending(http.certificate.expires, time),
    ]);
  const { authority } = node ?? {};
  if (authority) {
    const next = authority.nextExpiry === undefined ? 'none of them ends' : ending(authority.nextExpiry, time);
    lines.push(['Authorized keys', `${count(authority.keys)} in effect`, next]);
  }
  if (lines.length === 0) return html`<p class="dim">No certificate, and no list of authorized keys.</p>`;
  return table('What ends, and when', ['What', 'Which', 'Ends'], lines, '');
}

function ending(at, time) {
  const seconds = (at - time) / 1000;
  const day = new Date(at).toISOString().slice(0, 10);
  if (seconds < 0) return html`<span class="bad">✕ ended on ${day}</span>`;
  if (seconds < soonSeconds) return html`<span class="bad">! on ${day}, in ${formatAge(seconds)}</span>`;
  return html`<span class="good">✓ on ${day}</span>`;
}

/** What /metrics counts as well, under the same names. */
function renderTotals({ snapshot }) {
  const { node, http } = snapshot;
  const { stats } = node ?? {};
  const figures = [
    ['Connections', 'hopline_connections_total', stats && sum(stats.dialects), count],
    ['Circuits passed on', 'hopline_circuits_total{role="relay"}', stats?.relayed, count],
    ['Circuits served', 'hopline_circuits_total{role="origin"}', stats?.served, count],
    ['Bytes passed on', 'hopline_bytes_total{role="relay"}', stats?.bytesRelayed, formatBytes],
    [
      'Bytes served and taken',
      'hopline_bytes_total{role="origin"}',
      stats && stats.bytesServed + stats.bytesUploaded,
      formatBytes,
    ],
    ['Files opened', 'hopline_files_total', stats?.files, count],
    ['Uploads', 'hopline_uploads_total', stats?.uploaded, count],
    ['Messages', 'hopline_messages_total', stats?.messages, count],
    ['Handshakes', 'hopline_handshakes_total', stats && sum(stats.handshakes), count],
    ['Refused, failed', 'hopline_refusals_total', sum(stats?.failures) + sum(http?.stats.failures), count],
    ['HTTP requests', 'hopline_http_requests_total', http && sum(Object.values(http.stats.requests).map(sum)), count],
  ];
  const lines = figures
    .filter(([, , value]) => value !== undefined)
    .map(([name, metric, value, format]) => [
      name,
      { kind: 'right', content: html`<span data-metric="${metric}" data-value="${value}">${format(value)}</span>` },
      html`<code>${metric}</code>`,
    ]);
  return table('Counted since the start', ['What', '>How much', 'In the metrics'], lines, '');
}

/* Charts. */

const chart = { width: 300, height: 96, foot: 18 };
const spanMs = 600_000;

function renderCharts(points) {
  const charts = [
    [
      'Bytes a second',
      formatRate,
      [
        ['passed on', 'relay'],
        ['served here', 'origin'],
        ['HTTP', 'http'],
      ],
    ],
    [
      'Open',
      count,
      [
        ['circuits', 'circuits'],
        ['HTTP requests', 'requests'],
      ],
    ],
    ['Refused and failed a second', formatNumber, [['all codes', 'refusals']]],
    ['Event loop late by', (seconds) => `${(seconds * 1000).toFixed(1)} ms`, [['the longest', 'lag']]],
  ];
  return html`<div class="charts">${charts.map((each) => renderChart(points, ...each))}</div>`;
}

function renderChart(points, name, format, series) {
  const order = ['first', 'second', 'third'];
  const last = points.at(-1);
  const shown = series
    .map(([label, key], index) => ({ label, key, kind: order[index] }))
    .filter(({ key }, index) => index === 0 || points.some((point) => point[key] > 0));
  const most = Math.max(...points.flatMap((point) => shown.map(({ key }) => point[key])), 0);
  const high = most > 0 ? most : 1;
  const x = ({ time }) => chart.width * (1 - ((last?.time ?? 0) - time) / spanMs);
  const y = (value) => chart.height - (chart.height - 6) * (value / high);
  const lines = shown.map(({ key, kind }) => {
    const path = points.map((point) => `${x(point).toFixed(1)},${y(point[key]).toFixed(1)}`).join(' ');
    return html`<polyline class="series ${kind}" points="${path}"/>`;
  });
  const legend = shown.map(
    ({ label, key, kind }) => html`<span><svg class="key" width="26" height="8" aria-hidden="true">
      <line class="series ${kind}" x1="0" y1="4" x2="26" y2="4"/></svg> ${label} ${format(last?.[key] ?? 0)}</span>`,
  );
  const label = `${name}: at most ${format(most)} in the last ten minutes`;
  const { width, height, foot } = chart;
  return html`<figure><figcaption><strong>${name}</strong>${legend}</figcaption>
    <svg viewBox="0 0 ${width} ${height + foot}" width="${width * 1.6}" role="img" aria-label="${label}">
    <path class="grid" d="M0 ${height}.5 H${width} M0 6.5 H${width}"/>${lines}
    <text class="small" x="2" y="18">${format(most)}</text>
    <text class="small" x="0" y="${height + foot - 3}">10 min ago</text>
    <text class="small" x="${width}" y="${height + foot - 3}" text-anchor="end">now</text></svg></figure>`;
}

/* In the browser. */

if (typeof document !== 'undefined') followLooks();

/** Shows each look as it comes; a browser asks again by itself when the connection breaks. */
function followLooks() {
  let points = [];
  let isPaused = false;
  let waiting;
  const live = document.querySelector('#live');
  const pause = document.querySelector('#pause');
  const shown = new Map();
  const tell = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };
  const show = (view) => {
    for (const [id, content] of Object.entries(renderSections(view, points))) {
      const text = String(content);
      if (shown.get(id) === text) continue;
      shown.set(id, text);
      document.getElementById(id).innerHTML = text;
      if (id === 'controls') document.getElementById(id).hidden = text === '';
    }
  };
  const source = new EventSource('api/events');
  source.addEventListener('history', ({ data }) => {
    points = JSON.parse(data);
  });
  source.addEventListener('look', ({ data }) => {
    const view = JSON.parse(data);
    points = [...points.filter(({ time }) => time < view.point.time), view.point].slice(-600);
    waiting = view;
    tell(isPaused ? 'paused' : 'live');
    if (!isPaused) show(view);
  });
  source.addEventListener('error', () => tell('no connection; trying again'));
  document.querySelector('#controls').addEventListener('click', ({ target }) => {
    if (target.dataset.command) void command(target, tell);
  });
  pause.hidden = false;
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.setAttribute('aria-pressed', String(isPaused));
    tell(isPaused ? 'paused' : 'live');
    if (!isPaused && waiting) show(waiting);
  });
}

/** Has done what a button says. What comes of it, the next look shows. */
async function command(button, tell) {
  button.disabled = true;
  try {
    const answer = await fetch(`do/${button.dataset.command}`, { method: 'POST' });
    if (!answer.ok) tell(`refused: ${await answer.text()}`);
  } catch {
    tell('no connection');
  } finally {
    button.disabled = false;
  }
}
