/**
 * What all parts of the page are made of: markup, tables, and numbers for people.
 *
 * Runs in the node and in the browser. Invariant: what was not made by `html` itself is text on the page, whatever it looks like.
 */

/** Markup: what was made by `html` itself goes in as it is, and anything else as text. */
export function html(strings, ...values) {
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

/** `>` before a heading puts its column to the right. */
export function table(caption, head, lines, otherwise) {
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

export function right(content) {
  return { kind: 'right', content };
}

export function wrapped(content) {
  return { kind: 'wrap', content };
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatBytes(bytes) {
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function formatRate(bytes) {
  return `${formatBytes(bytes)}/s`;
}

export function formatNumber(value) {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

export function countOf(value, what) {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`;
}

export function formatAge(seconds) {
  const steps = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
  ];
  for (const [size, unit] of steps) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

export function sum(counts) {
  return Object.values(counts ?? {}).reduce((all, value) => all + value, 0);
}
