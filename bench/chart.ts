/** Line charts as SVG, without a dependency. */

import type { Spread } from './samples.ts';

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: Spread }[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly formatX?: (x: number) => string;
}

const width = 760;
const height = 420;
const plot = { left: 70, top: 48, right: 560, bottom: 360 };
const colours = ['#d1242f', '#e8871e', '#1f6feb', '#6cb2eb', '#2da44e', '#8250df', '#bf3989', '#57606a', '#9a6700'];

/** A chart of medians with bars from the least to the most; the places on the x axis are spaced evenly. */
export function drawChart(series: readonly Series[], options: ChartOptions): string {
  const places = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const top = niceTop(Math.max(0, ...series.flatMap(({ points }) => points.map(({ y }) => y.max))));
  const atX = (x: number) =>
    plot.left + ((places.indexOf(x) + 0.5) * (plot.right - plot.left)) / Math.max(1, places.length);
  const atY = (y: number) => plot.bottom - (y / top) * (plot.bottom - plot.top);
  const { formatX = String } = options;
  const middle = (plot.top + plot.bottom) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(options.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(plot.left, 26, options.title, 'font-size="16" font-weight="bold"'),
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      `<path d="M${plot.left} ${at(atY(top * share))}H${plot.right}" stroke="#d0d7de"/>`,
      text(plot.left - 8, atY(top * share) + 4, String(Number((top * share).toPrecision(3))), 'text-anchor="end"'),
    ]),
    ...places.map((x) => text(atX(x), plot.bottom + 20, formatX(x), 'text-anchor="middle"')),
    text((plot.left + plot.right) / 2, plot.bottom + 44, options.xLabel, 'text-anchor="middle"'),
    text(18, middle, options.yLabel, `text-anchor="middle" transform="rotate(-90 18 ${middle})"`),
    ...series.flatMap((one, index) => drawSeries(one, colours[index % colours.length] ?? '#000000', index, atX, atY)),
    '</svg>',
    '',
  ].join('\n');
}

function drawSeries(
  { name, points }: Series,
  colour: string,
  index: number,
  atX: (x: number) => number,
  atY: (y: number) => number,
): string[] {
  // A little aside, so that the bars of several contenders do not hide each other.
  const aside = (index - 4) * 3;
  const line = points.map(({ x, y }) => `${at(atX(x) + aside)},${at(atY(y.median))}`).join(' ');
  const legend = plot.top + 8 + index * 22;
  return [
    `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.flatMap(({ x, y }) => [
      `<path d="M${at(atX(x) + aside)} ${at(atY(y.min))}V${at(atY(y.max))}" stroke="${colour}"/>`,
      `<circle cx="${at(atX(x) + aside)}" cy="${at(atY(y.median))}" r="3.5" fill="${colour}"/>`,
    ]),
    `<rect x="${plot.right + 20}" y="${legend - 9}" width="12" height="12" fill="${colour}"/>`,
    text(plot.right + 38, legend + 1, name, ''),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${at(x)}" y="${at(y)}" fill="#1f2328" ${attributes}>${escapeText(content)}</text>`;
}

function niceTop(value: number): number {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value) ?? 10) * unit;
}

function at(value: number): string {
  return value.toFixed(1);
}

function escapeText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
