/**
 * The picture of a node: who comes on the left, or above; the node; where it goes.
 *
 * Invariant: colour never says anything alone.
 */

import { count, countOf, formatRate, html, sum } from './markup.js';

const rows = { wide: 6, narrow: 5 };
/** Seconds after which a neighbour that does nothing is left out of the picture. */
const quietSeconds = 600;

/** Codes of what broke behind the node or on the way, where nobody was refused: the picture shows them where it broke. */
const brokenBehind = /^(PEER_(UNREACHABLE|UNRESOLVED|LOST)|TIMEOUT_)/;

export function renderPicture(view) {
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

export function drawLine(path, end, direction, place) {
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
export function cut(text, width) {
  const most = Math.floor((width - 24) / 8);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
