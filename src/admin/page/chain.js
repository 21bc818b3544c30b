/**
 * A chain of nodes with a file on its way through it: the picture, the legs as a table, what happened, and what can be done.
 *
 * Knows nothing of how a command is carried out: a button has its name.
 * Invariant: what can be done changes with the state of a node alone, so that a button stays where the focus is.
 */

import { count, formatBytes, formatRate, html, right, table } from './markup.js';
import { cut, drawLine } from './picture.js';

const client = 'client';
const shape = { width: 980, pitch: 236, box: 168, row: 84, height: 58 };
const narrow = { width: 340, row: 66, height: 58 };
const states = { up: '✓ up', starting: 'starting', down: '✕ killed' };

export function renderChain(view) {
  const { file } = view.snapshot.chain;
  return html`${renderFile(file)}${drawWide(view)}${drawNarrow(view)}`;
}

function renderFile({ name, size, bytes, state }) {
  const part = size === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
  return html`<p><label>${name}: ${describeFile({ state, size, bytes })}
    <progress max="${size || 1}" value="${state === 'arrived' ? size || 1 : bytes}">${part}</progress></label> ${part}</p>`;
}

function describeFile({ state, size, bytes }) {
  if (state === 'arrived') return '✓ arrived';
  if (state === 'failed') return '✕ failed';
  return size ? `${Math.floor((100 * bytes) / size)} %` : 'under way';
}

/** The client and all nodes, each with the place that it stands at, from 0. */
function boxesOf({ file, places }) {
  const nodes = places.flatMap((place, index) =>
    place.map((node) => ({ ...node, name: node.address, column: index + 1, isOrigin: index === places.length - 1 })),
  );
  return [{ name: client, address: client, state: 'up', column: 0, text: describeFile(file) }, ...nodes];
}

function legsOf({ snapshot, legSpeeds }) {
  return snapshot.chain.legs.map((leg, index) => ({ ...leg, ...legSpeeds[index], from: leg.from ?? client }));
}

function describeNode({ text, state, isOrigin, address }, legs) {
  if (text) return text;
  if (state !== 'up') return states[state];
  const open = legs.filter(({ to }) => to === address).reduce((sum, leg) => sum + leg.open, 0);
  return `${isOrigin ? 'origin' : 'relay'}, ${count(open)} open`;
}

function drawWide(view) {
  const { places } = view.snapshot.chain;
  const legs = legsOf(view);
  const width = Math.max(shape.width, (places.length + 1) * shape.pitch);
  const height = Math.max(1, ...places.map(({ length }) => length)) * shape.row;
  const boxes = boxesOf(view.snapshot.chain);
  const placed = boxes.map((box) => {
    const same = boxes.filter(({ column }) => column === box.column);
    const x = (box.column * (width - shape.box)) / places.length;
    const y = (height - same.length * shape.row) / 2 + same.indexOf(box) * shape.row + (shape.row - shape.height) / 2;
    return { ...box, x, y };
  });
  const lines = legs.map((leg) => {
    const from = placed.find(({ address }) => address === leg.from);
    const to = placed.find(({ address }) => address === leg.to);
    return from && to ? drawLeg(from, to, leg) : '';
  });
  const drawn = placed.map((box) => drawBox({ ...box, box: shape.box, height: shape.height }, describeNode(box, legs)));
  return html`<svg class="wide" viewBox="0 0 ${width} ${height}" role="img" aria-label="${describe(view)}">${lines}${drawn}</svg>`;
}

function drawLeg(from, to, leg) {
  const start = { x: from.x + shape.box, y: from.y + shape.height / 2 };
  const end = { x: to.x, y: to.y + shape.height / 2 };
  const bend = (start.x + end.x) / 2;
  const path = `M${start.x} ${start.y} C${bend} ${start.y} ${bend} ${end.y} ${end.x - 8} ${end.y}`;
  const text = leg.back >= 1 ? `← ${formatRate(leg.back)}` : '';
  const label =
    text &&
    html`<text class="small rate" x="${bend}" y="${(start.y + end.y) / 2 - 9}" text-anchor="middle">${text}</text>`;
  return html`${drawLine(path, end, 'right', leg)}${label}`;
}

function drawNarrow(view) {
  const legs = legsOf(view);
  const boxes = boxesOf(view.snapshot.chain);
  const parts = [];
  let y = 4;
  for (const [index, box] of boxes.entries()) {
    if (box.column !== boxes[index - 1]?.column && index > 0) {
      const flow = flowInto(boxes, legs, box.column);
      parts.push(drawLine(`M170 ${y - 4} V${y + 22}`, { x: 170, y: y + 26 }, 'down', flow));
      if (flow.back >= 1) parts.push(html`<text class="small" x="186" y="${y + 14}">↑ ${formatRate(flow.back)}</text>`);
      y += 32;
    }
    parts.push(drawBox({ ...box, x: 0, y, box: narrow.width, height: narrow.height }, describeNode(box, legs)));
    y += narrow.row;
  }
  return html`<svg class="narrow" viewBox="0 0 ${narrow.width} ${y}" role="img" aria-label="${describe(view)}">${parts}</svg>`;
}

/** What all legs to a column carry. */
function flowInto(boxes, legs, column) {
  const addresses = new Set(boxes.filter((box) => box.column === column).map(({ address }) => address));
  const carried = legs.filter(({ to }) => addresses.has(to));
  const sumOf = (way) => carried.reduce((sum, leg) => sum + leg[way], 0);
  return { forward: sumOf('forward'), back: sumOf('back') };
}

function drawBox({ x, y, box, height, name, state }, text) {
  const isDown = state === 'down';
  return html`<g><title>${name}: ${text}</title>
    <rect class="${isDown ? 'refused' : 'box'}" x="${x + 1}" y="${y}" width="${box - 2}" height="${height}" rx="7"/>
    <text class="${isDown ? 'refused-text' : ''}" x="${x + 12}" y="${y + 24}">${cut(name, box)}</text>
    <text class="small ${isDown ? 'refused-text' : ''}" x="${x + 12}" y="${y + 44}">${cut(text, box * 1.12)}</text></g>`;
}

function describe(view) {
  const { chain } = view.snapshot;
  const legs = legsOf(view);
  const places = chain.places.map((place) =>
    place.map((node) => `${node.address} (${describeNode({ ...node, isOrigin: false }, legs)})`).join(' or '),
  );
  return `${chain.file.name}, ${describeFile(chain.file)}, over ${places.join(', then ')}`;
}

/** The same as the picture. */
export function renderLegs(view) {
  const lines = legsOf(view).map(({ from, to, open, failed, forward, back, bytesForward, bytesBack }) => [
    from,
    to,
    right(count(open)),
    right(failed > 0 ? html`<span class="bad">✕ ${count(failed)}</span>` : '0'),
    right(formatRate(forward)),
    right(formatRate(back)),
    right(formatBytes(bytesForward)),
    right(formatBytes(bytesBack)),
  ]);
  const nodes = view.snapshot.chain.places.flatMap((place, index) =>
    place.map(({ address, state }) => [String(index + 1), address, states[state]]),
  );
  const head = ['From', 'To', '>Open', '>Failed', '>→', '>←', '>→ in all', '>← in all'];
  return html`${table('Nodes by their place', ['Place', 'Node', 'State'], nodes, '')}${table('Legs', head, lines, 'Nothing has passed yet.')}`;
}

/** What has happened to the file, the last first. */
export function renderNews({ news }) {
  const lines = news.map(
    ({ time, text }) => html`<li><time>${new Date(time).toLocaleTimeString()}</time> ${text}</li>`,
  );
  return html`<ol class="news">${lines}</ol>`;
}

export function renderControls({ file, places }) {
  const nodes = places.flat().map(({ address, state }, index) => {
    if (state === 'up') return button(`kill/${index}`, `Kill ${address}`);
    return state === 'down' ? button(`start/${index}`, `Start ${address}`) : '';
  });
  const again = file.state === 'under way' ? '' : button('fetch', 'Fetch it again');
  return html`${nodes}${again}`;
}

function button(command, text) {
  return html`<button type="button" data-command="${command}">${text}</button> `;
}
