import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { METRICS } from '../../../src/model/metric.ts';

const RULES = 'deploy/prometheus/holdfast.rules.yaml';
const RULES_TEST = 'deploy/prometheus/holdfast.rules.test.yaml';
const DASHBOARD = 'deploy/grafana/holdfast.json';

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  labels?: { severity?: string };
  annotations?: { summary?: string; runbook?: string };
}

const rules: Rule[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(
  ({ rules: some }: { rules: Rule[] }) => some,
);
const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
  panels: { title: string; targets: { expr: string }[] }[];
};
const expressions = [
  ...rules.map((rule): [string, string] => [rule.alert ?? rule.record ?? '', rule.expr]),
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }): [string, string] => [title, expr]),
  ),
];

/** What an expression selects: a name, and the labels that it asks for, groups by or matches on. */
function read(expr: string): { errors: number; metrics: string[]; labels: string[] } {
  // Variables of a dashboard stand in matchers only.
  const text = expr.replaceAll(/\$(?:database|__\w+)/g, 'x');
  const found = { errors: 0, metrics: [] as string[], labels: [] as string[] };
  parser.parse(text).iterate({
    enter: ({ type, name, from, to }) => {
      if (type.isError) found.errors += 1;
      if (name === 'Identifier') found.metrics.push(text.slice(from, to));
      if (name === 'LabelName') found.labels.push(text.slice(from, to));
    },
  });
  return found;
}

test('every expression can be parsed', () => {
  expect(expressions.filter(([, expr]) => read(expr).errors > 0)).toEqual([]);
});

test('what is shown or alerted on is what workers tell, and all that they tell is shown', () => {
  const recorded = rules.flatMap(({ record }) => record ?? []);
  const used = new Set(expressions.flatMap(([, expr]) => read(expr).metrics));
  const ours = [...used].filter((name) => !name.startsWith('temporal_') && !recorded.includes(name));
  expect(ours.toSorted()).toEqual(Object.keys(METRICS).toSorted());
});

test('labels are those that a metric of ours has', () => {
  const known = new Set<string>(Object.values(METRICS).flatMap(({ labels }) => labels));
  for (const label of ['instance', 'job', 'task_queue', 'worker_type', 'activity_type']) known.add(label);
  expect(expressions.flatMap(([, expr]) => read(expr).labels).filter((label) => !known.has(label))).toEqual(
    [],
  );
});

describe('every alert', () => {
  const alerts = rules.filter(({ alert }) => alert !== undefined);
  const sections = readFileSync('docs/operations.md', 'utf8')
    .split('\n')
    .flatMap((line) => /^#+ (.*)/.exec(line)?.[1] ?? [])
    .map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );

  test.each(alerts.map((rule): [string, Rule] => [rule.alert ?? '', rule]))(
    '%s says what to do',
    (_, rule) => {
      expect(rule.labels?.severity).toMatch(/^(?:critical|warning)$/);
      expect(rule.annotations?.summary).toBeTruthy();
      const [file, section] = rule.annotations?.runbook?.split('#') ?? [];
      expect(file).toBe('docs/operations.md');
      expect(sections).toContain(section);
    },
  );

  test('has a case in the rules’ own tests, or is about the SDK’s metrics', () => {
    const tested = JSON.stringify(parse(readFileSync(RULES_TEST, 'utf8')));
    const untested = alerts.filter(
      ({ alert, expr }) => !tested.includes(`"${alert}"`) && !expr.includes('temporal_'),
    );
    expect(untested.map(({ alert }) => alert)).toEqual([
      'HoldfastRecoveryPointObjectiveAtRisk',
      'HoldfastNotProved',
    ]);
  });
});

const promtool = await execa('promtool', ['--version'], { reject: false });

// Not in any registry that set-up uses: it runs where somebody has it.
test.skipIf(promtool.failed)(
  'promtool finds nothing wrong with the rules, and its tests pass (promtool is on PATH)',
  async () => {
    await execa('promtool', ['check', 'rules', RULES]);
    await execa('promtool', ['test', 'rules', RULES_TEST]);
  },
);
