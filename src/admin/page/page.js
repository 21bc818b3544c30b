/**
 * The page of a node: what each look at it says, as HTML and SVG.
 *
 * Runs twice: in the node, for the page as it is first sent and for whoever runs no scripts, and in the browser for each look after.
 * Everything that comes from other machines goes through `html`, which escapes it.
 * Invariant: colour never says anything alone; nothing is loaded from anywhere else.
 */

const rows = { wide: 6, narrow: 5 };
/** Seconds after which a neighbour that does nothing is left out of the picture. */
const quietSeconds = 600;
/** Seconds before its end that a key or certificate is pointed out. */
const soonSeconds = 30 * 24 * 3600;

/** Codes of what broke behind the node or on the way, where nobody was refused: the picture shows them where it broke. */
const brokenBehind = /^(PEER_(UNREACHABLE|UNRESOLVED|LOST)|TIMEOUT_)/;

/** The inside of each section, by its id. */
export function renderSections(view, points) {
  return {
    title: renderTitle(view),
    now: renderNow(view),
    picture: renderPicture(view),
    neighbours: renderNeighbours(view),
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

/* The picture: who comes on the left, or above; this node; where it goes. */

function renderPicture(view) {
  const sides = { left: comers(view), right: goals(view) };
  if (sides.left.length + sides.right.length === 0) return html`<p class="dim">Nobody has come yet.</p>`;
  return html`${drawWide(view, sides)}${drawNarrow(view, sides)}`;
}

/** Everyone who comes, the busiest first, and who was refused. */
function comers({ snapshot, neighbourSpeeds, point }) {
  const { node, http } = snapshot;
  const hosts = new Map();
  for (const [index, pair] of recent(node)) {
    const known = hosts.get(pair.from) ?? newPlace(pair.from);
    hosts.set(pair.from, addFlow(known, pair, neighbourSpeeds[index]));
  }
  const clients = http ? [{ ...newPlace('HTTP clients'), back: point.http, open: http.underWay, circuits: 1 }] : [];
  const refused = (node?.refusals ?? []).filter(
    ({ code, agoSeconds }) => agoSeconds < quietSeconds && !brokenBehind.test(code),
  );
  const flows = [...hosts.values(), ...clients].sort(byWeight);
  return [...flows, ...refused.map(({ from, code, count: times }) => ({ name: from, refusal: `${times} × ${code}` }))];
}

function goals({ snapshot, neighbourSpeeds }) {
  const { node, http } = snapshot;
  const places = new Map();
  for (const [index, pair] of recent(node)) {
    const name = pair.to ?? 'files of this node';
    places.set(name, addFlow(places.get(name) ?? newPlace(name), pair, neighbourSpeeds[index]));
  }
  for (const { to, isOpening } of (node?.circuits ?? []).map(({ next, ...circuit }) => ({ to: next, ...circuit }))) {
    const place = isOpening && places.get(to);
    if (place) place.note = 'being connected to';
  }
  const sites = Object.entries(http?.stats.requests ?? {}).map(([site, classes]) => ({
    ...newPlace(site === '' ? 'no site' : `site ${site}`),
    circuits: sum(classes),
    note: countOf(sum(classes), 'request'),
  }));
  return [...[...places.values()].sort(byWeight), ...sites];
}

function recent(node) {
  return [...(node?.neighbours ?? []).entries()].filter(([, { idleSeconds }]) => idleSeconds < quietSeconds);
}

function newPlace(name) {
  return { name, forward: 0, back: 0, open: 0, circuits: 0, failed: 0 };
}

function addFlow(place, pair, speed) {
  return {
    ...place,
    forward: place.forward + speed.forward,
    back: place.back + speed.back,
    open: place.open + pair.open,
    circuits: place.circuits + pair.circuits,
    failed: place.failed + pair.failed,
  };
}

function byWeight(one, other) {
  return other.forward + other.back - one.forward - one.back || other.open - one.open || other.circuits - one.circuits;
}

/** Whether nothing of what went there came through. */
function isBroken({ circuits, failed }) {
  return failed > 0 && failed >= circuits;
}

/** What the second line of a box says. */
function describePlace({ note, open, circuits, failed, refusal }) {
  if (refusal) return `refused: ${refusal}`;
  if (note) return note;
  if (isBroken({ circuits, failed })) return `${count(failed)} of ${count(circuits)} failed`;
  const broken = failed > 0 ? `, ${count(failed)} ✕` : '';
  return open > 0 ? `${count(open)} open${broken}` : `quiet; ${count(circuits)} so far${broken}`;
}

/** Few enough to be drawn; the last one says how many are not. */
function firstOf(places, most) {
  if (places.length <= most) return places;
  const refused = places.filter(({ refusal }) => refusal);
  const others = places.filter(({ refusal }) => !refusal);
  const shown = [...others.slice(0, Math.max(1, most - 1 - Math.min(refused.length, 2))), ...refused.slice(0, 2)];
  return [...shown, { ...newPlace(`and ${places.length - shown.length} more`), note: 'see the table' }];
}

const wide = { width: 980, box: 250, row: 74, height: 56 };

function drawWide(view, sides) {
  const left = firstOf(sides.left, rows.wide);
  const right = firstOf(sides.right, rows.wide);
  const height = Math.max(left.length, right.length, 2) * wide.row;
  const top = (places, index) =>
    (height - places.length * wide.row) / 2 + index * wide.row + (wide.row - wide.height) / 2;
  const middle = { x: (wide.width - wide.box) / 2, y: height / 2 - 36 };
  const leftEnd = middle.x;
  const rightEnd = middle.x + wide.box;
  const parts = [
    ...left.map((place, index) => {
      const y = top(left, index);
      const from = { x: wide.box, y: y + wide.height / 2 };
      return html`${drawBox({ x: 0, y, ...wide }, place)}${drawArrow(from, { x: leftEnd, y: height / 2 }, place, 'start')}`;
    }),
    ...right.map((place, index) => {
      const y = top(right, index);
      const to = { x: wide.width - wide.box, y: y + wide.height / 2 };
      return html`${drawBox({ x: wide.width - wide.box, y, ...wide }, place)}${drawArrow({ x: rightEnd, y: height / 2 }, to, place, 'end')}`;
    }),
    drawSelf(view, { ...middle, box: wide.box }),
  ];
  const label = describePicture(view, sides);
  return html`<svg class="wide" viewBox="0 0 ${wide.width} ${height}" role="img" aria-label="${label}">${parts}</svg>`;
}

const narrow = { width: 340, box: 340, row: 66, height: 58 };

function drawNarrow(view, sides) {
  const parts = [];
  let y = 4;
  const below = (places) => {
    for (const place of firstOf(places, rows.narrow)) {
      parts.push(drawBox({ x: 0, y, ...narrow }, place, flowText(place)));
      y += narrow.row;
    }
  };
  const arrow = (places) => {
    const flow = places
      .filter(({ refusal }) => !refusal)
      .reduce((all, place) => addFlow(all, place, place), newPlace(''));
    if (places.some(({ refusal }) => !refusal)) {
      parts.push(drawLine(`M170 ${y - 4} V${y + 22}`, { x: 170, y: y + 26 }, 'down', flow));
    }
    y += 32;
  };
  below(sides.left);
  arrow(sides.left);
  parts.push(drawSelf(view, { x: 0, y, box: narrow.box }));
  y += 80;
  if (sides.right.length > 0) arrow(sides.right);
  below(sides.right);
  const label = describePicture(view, sides);
  return html`<svg class="narrow" viewBox="0 0 ${narrow.width} ${y + 4}" role="img" aria-label="${label}">${parts}</svg>`;
}

function describePicture({ snapshot }, { left, right }) {
  const list = (places) => places.map((place) => `${place.name} (${describePlace(place)})`).join(', ') || 'nobody';
  return `To ${snapshot.addresses[0] ?? 'this node'} come: ${list(left)}. From here it goes to: ${list(right)}.`;
}

function drawBox({ x, y, box, height }, place, more) {
  const isBad = place.refusal || isBroken(place);
  const kind = isBad ? 'refused' : 'box';
  const mark = isBad ? '✕ ' : '';
  const text = more ? `${describePlace(place)} · ${more}` : describePlace(place);
  return html`<g><title>${place.name}: ${describePlace(place)}</title>
    <rect class="${kind}" x="${x + 1}" y="${y}" width="${box - 2}" height="${height}" rx="7"/>
    <text class="${isBad ? 'refused-text' : ''}" x="${x + 12}" y="${y + 24}">${mark}${cut(place.name, box)}</text>
    <text class="small ${isBad ? 'refused-text' : ''}" x="${x + 12}" y="${y + 44}">${cut(text, box * 1.12)}</text></g>`;
}

function drawSelf({ snapshot, point }, { x, y, box }) {
  const { node, http } = snapshot;
  const roles = [node?.isOrigin && 'origin', node && 'relay', http && 'gateway'].filter(Boolean).join(', ');
  const total = point.relay + point.origin + point.http;
  return html`<g><rect class="box self" x="${x + 1}" y="${y}" width="${box - 2}" height="72" rx="9"/>
    <text x="${x + 12}" y="${y + 24}">${cut(snapshot.addresses[0] ?? 'this node', box)}</text>
    <text class="small" x="${x + 12}" y="${y + 43}">${roles}</text>
    <text class="small" x="${x + 12}" y="${y + 61}">${formatRate(total)} in all</text></g>`;
}

/** From one box to another; a refusal ends before it arrives. */
function drawArrow(from, to, place, labelled) {
  const bend = (from.x + to.x) / 2;
  if (place.refusal) {
    const end = { x: from.x + 46, y: from.y };
    return html`<path class="refused" d="M${from.x} ${from.y} H${end.x}"/>
      <text class="refused-text" x="${end.x + 4}" y="${end.y + 5}">✕</text>`;
  }
  const path = `M${from.x} ${from.y} C${bend} ${from.y} ${bend} ${to.y} ${to.x - 8} ${to.y}`;
  const at =
    labelled === 'start' ? { x: from.x + 6, y: from.y, anchor: 'start' } : { x: to.x - 12, y: to.y, anchor: 'end' };
  const label = (text, y) =>
    text === '' ? '' : html`<text class="small rate" x="${at.x}" y="${y}" text-anchor="${at.anchor}">${text}</text>`;
  return html`${drawLine(path, to, 'right', place)}${label(toText(place), at.y - 11)}${label(backText(place), at.y + 22)}`;
}

function drawLine(path, end, direction, place) {
  const speed = place.forward + place.back;
  const width = speed > 0 ? Math.min(6, 1.5 + Math.log10(1 + speed) / 2) : 1.2;
  const kind = speed > 0 ? 'flow moving' : 'still';
  const points =
    direction === 'right'
      ? `${end.x - 10},${end.y - 6} ${end.x},${end.y} ${end.x - 10},${end.y + 6}`
      : `${end.x - 6},${end.y - 10} ${end.x},${end.y} ${end.x + 6},${end.y - 10}`;
  return html`<path class="${kind}" stroke-width="${width.toFixed(1)}" d="${path}"/>
    <polygon class="${speed > 0 ? 'head' : 'still-head'}" points="${points}"/>`;
}

function toText({ forward }) {
  return forward >= 1 ? `→ ${formatRate(forward)}` : '';
}

function backText({ back }) {
  return back >= 1 ? `← ${formatRate(back)}` : '';
}

function flowText(place) {
  if (place.refusal || place.forward === undefined) return '';
  return [place.forward >= 1 && `↓ ${formatRate(place.forward)}`, place.back >= 1 && `↑ ${formatRate(place.back)}`]
    .filter(Boolean)
    .join(' ');
}

/** As much of a text as fits into a box of so many units. */
function cut(text, width) {
  const most = Math.floor((width - 24) / 8);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
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
      circuit.trace ? html`<code>${circuit.trace}</code>` : '',
    ];
  });
  const all = (node?.open.relay ?? 0) + (node?.open.origin ?? 0);
  const caption =
    all > circuits.length ? `The oldest ${circuits.length} of ${count(all)}` : 'Circuits that are open now';
  const head = ['From', 'To', '>Age', '>Speed', '>→', '>←', 'Moved by', 'Sealed', 'Trace, as in every log'];
  return table(caption, head, lines, 'No circuit is open.');
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

/** `>` before a heading puts its column to the right. */
function table(caption, head, lines, otherwise) {
  if (lines.length === 0) return html`<p class="dim">${otherwise}</p>`;
  const headings = head.map((name) =>
    name.startsWith('>')
      ? html`<th scope="col" class="right">${name.slice(1)}</th>`
      : html`<th scope="col">${name}</th>`,
  );
  const body = lines.map((cells) => html`<tr>${cells.map(cell)}</tr>`);
  return html`<table><caption class="dim">${caption}</caption><thead><tr>${headings}</tr></thead><tbody>${body}</tbody></table>`;
}

function cell(value, index) {
  const { kind = '', content = value } = isCell(value) ? value : {};
  if (index === 0) return html`<th scope="row" class="${kind}">${content}</th>`;
  return html`<td class="${kind}">${content}</td>`;
}

function isCell(value) {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function right(content) {
  return { kind: 'right', content };
}

function wrapped(content) {
  return { kind: 'wrap', content };
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

/* Numbers for people. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function formatBytes(bytes) {
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

function formatRate(bytes) {
  return `${formatBytes(bytes)}/s`;
}

function formatNumber(value) {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

function countOf(value, what) {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`;
}

function formatAge(seconds) {
  const steps = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
  ];
  for (const [size, unit] of steps) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

function sum(counts) {
  return Object.values(counts ?? {}).reduce((all, value) => all + value, 0);
}

/** Markup: what was made by `html` itself goes in as it is, and anything else as text. */
function html(strings, ...values) {
  const text = strings.reduce((all, string, index) => all + markup(values[index - 1]) + string);
  return Object.assign(Object(text), { isMarkup: true });
}

function markup(value) {
  if (Array.isArray(value)) return value.map(markup).join('');
  return value?.isMarkup ? String(value) : escapeMarkup(String(value ?? ''));
}

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeMarkup(text) {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
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
  pause.hidden = false;
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.setAttribute('aria-pressed', String(isPaused));
    tell(isPaused ? 'paused' : 'live');
    if (!isPaused && waiting) show(waiting);
  });
}
