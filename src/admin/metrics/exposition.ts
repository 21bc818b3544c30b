/**
 * Metrics as text, for Prometheus and whatever else reads it.
 *
 * Knows both forms. Documentation of the names: docs/monitoring.md#metrics
 * Formats: OpenMetrics 1.0.0, and the text format 0.0.4 of Prometheus
 */

import type { HistogramCounts } from '../../core/histogram.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Labels, Metric, Sample } from './metric.ts';
import { serviceMetrics } from './service-metrics.ts';
import { trafficMetrics } from './traffic-metrics.ts';

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
export const plainTextType = 'text/plain; version=0.0.4; charset=utf-8';

/** All there are; dashboards and alerts stand on their names. */
export const allMetrics: readonly Metric[] = [...serviceMetrics, ...trafficMetrics];

/** The form to answer in: OpenMetrics, unless a client names `text/*` alone or likes it better. */
export function chooseForm(accept: string | undefined): typeof openMetricsType | typeof plainTextType {
  const open = weightOf(accept, /^application\/openmetrics-text$/);
  const plain = weightOf(accept, /^text\/(plain|html|\*)$/);
  if (open === undefined && plain === undefined) return openMetricsType;
  return (plain ?? 0) > (open ?? 0) ? plainTextType : openMetricsType;
}

/** The highest `q` of the media types that match. */
function weightOf(accept = '', pattern: RegExp): number | undefined {
  const weights = accept.split(',').flatMap((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (!pattern.test(type)) return [];
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return [q === undefined ? 1 : Number(q.slice(2)) || 0];
  });
  return weights.length > 0 ? Math.max(...weights) : undefined;
}

export function writeMetrics(snapshot: Snapshot, form: string): string {
  const isOpen = form === openMetricsType;
  const families = allMetrics.flatMap((metric) => writeFamily(metric, snapshot, isOpen));
  return `${[...families, ...(isOpen ? ['# EOF'] : [])].join('\n')}\n`;
}

/** Nothing for one that has no samples. */
function writeFamily(metric: Metric, snapshot: Snapshot, isOpen: boolean): string[] {
  const { name, type, unit, help } = metric;
  const samples = metric.type === 'histogram' ? writeHistograms(metric, snapshot) : writeNumbers(metric, snapshot);
  if (samples.length === 0) return [];
  // What a family of counters is called has no `_total` in OpenMetrics, and has it in the older form.
  const family = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name;
  return [
    `# HELP ${family} ${help}`,
    `# TYPE ${family} ${type}`,
    ...(isOpen && unit ? [`# UNIT ${family} ${unit}`] : []),
    ...samples,
  ];
}

function writeNumbers(metric: Extract<Metric, { type: 'counter' | 'gauge' }>, snapshot: Snapshot): string[] {
  return metric.read(snapshot).map(({ labels, value }) => writeSample(metric.name, labels, value));
}

function writeHistograms(metric: Extract<Metric, { type: 'histogram' }>, snapshot: Snapshot): string[] {
  return metric.read(snapshot).flatMap((sample) => writeHistogram(metric.name, metric.bounds, sample));
}

function writeHistogram(name: string, bounds: readonly number[], { labels, value }: Sample<HistogramCounts>): string[] {
  let below = 0;
  const buckets = value.counts.map((count, index) => {
    below += count;
    return writeSample(`${name}_bucket`, { ...labels, le: formatBound(bounds[index]) }, below);
  });
  return [...buckets, writeSample(`${name}_count`, labels, below), writeSample(`${name}_sum`, labels, value.sum)];
}

/** As OpenMetrics writes bounds: with a point, whichever language wrote them. */
function formatBound(bound: number | undefined): string {
  if (bound === undefined) return '+Inf';
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function writeSample(name: string, labels: Labels, value: number): string {
  const written = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${written.length > 0 ? `{${written.join(',')}}` : ''} ${value}`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
