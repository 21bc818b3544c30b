import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { allMetrics } from '../../src/admin/metrics/exposition.ts';
import { errorCodes } from '../../src/index.ts';
import { repository } from '../support/repository.ts';

const known = new Map(allMetrics.map((metric) => [metric.name, metric]));

/** Fails unless a query names metrics that there are alone, as what they are, and codes that there are. */
function checkQuery(query: string): void {
  const bare = query.replace(/"[^"]*"/g, '""');
  const names = [...bare.matchAll(/\b((?:hopline|process|nodejs)_\w+)\b/g)].map(([, name]) => name ?? '');
  assert.ok(names.length > 0 || /\bup\{/.test(query), `no metric: ${query}`);
  for (const name of names) {
    const histogram = known.get(name.replace(/_(bucket|count|sum)$/, ''));
    const metric = known.get(name) ?? (histogram?.type === 'histogram' ? histogram : undefined);
    assert.ok(metric, `${name} is no metric: ${query}`);
    const isRated = new RegExp(`(rate|increase)\\(${name}\\b`).test(bare);
    assert.equal(isRated, metric.type !== 'gauge', `${name} is a ${metric.type}: ${query}`);
  }
  for (const [, codes = ''] of query.matchAll(/code=~?"([^"]+)"/g)) {
    for (const code of codes.split('|')) {
      assert.ok(
        errorCodes.some((each) => new RegExp(`^(${code})$`).test(each)),
        `no code is ${code}`,
      );
    }
  }
  const depth = [...bare].reduce((open, letter) => open + (letter === '(' ? 1 : letter === ')' ? -1 : 0), 0);
  assert.equal(depth, 0, query);
}

test('the dashboard asks for metrics that there are', async () => {
  const text = await readFile(new URL('docs/monitoring/grafana.json', repository), 'utf8');
  const { panels, templating } = JSON.parse(text) as {
    panels: { id: number; title: string; targets: { expr: string }[] }[];
    templating: { list: { query: string }[] };
  };
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assert.ok(queries.length > 12);
  for (const query of queries) checkQuery(query);
  assert.ok(known.has(/label_values\((\w+),/.exec(templating.list[1]?.query ?? '')?.[1] ?? ''));
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
});

test('the alerts ask for metrics that there are, and each says what to look at', async () => {
  const text = await readFile(new URL('docs/monitoring/alerts.yml', repository), 'utf8');
  const { groups } = parse(text) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 8);
  for (const { expr, annotations } of rules) {
    checkQuery(expr);
    assert.match(annotations.summary, /\{\{ \$labels\.instance \}\}/);
  }
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
});
