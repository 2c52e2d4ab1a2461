// `npm run scoreboard`: writes docs/scoreboard.md from what the chaos and scenario tests reported last.
// Without an argument it runs them first; with one it reads that report (vitest --reporter=json).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';

import { z } from 'zod';

const root = join(import.meta.dirname, '..');

const reportSchema = z.object({
  testResults: z.array(
    z.object({
      assertionResults: z.array(
        z.object({ ancestorTitles: z.array(z.string()), title: z.string(), status: z.string() }),
      ),
    }),
  ),
});

interface Outcome {
  readonly groups: readonly string[];
  readonly title: string;
  readonly status: string;
}

function runTests(file: string): void {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const tests = ['test/chaos', 'test/integration/scenario-', 'test/integration/types-'];
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${file}`];
  try {
    execFileSync(execPath, [vitest, 'run', '--project', 'integration', ...reporters, ...tests], {
      cwd: root,
      stdio: 'inherit',
    });
  } catch {
    // Tests that failed stand in the report as such.
  }
}

function readOutcomes(file: string): Outcome[] {
  const report = reportSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  return report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ ancestorTitles, title, status }) => ({
      groups: ancestorTitles,
      title,
      status,
    })),
  );
}

function sign(statuses: readonly string[]): string {
  if (statuses.length === 0) return '';
  if (statuses.includes('failed')) return 'FAILS';
  return statuses.includes('passed') ? 'passes' : 'skipped';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function failpointTable(outcomes: readonly Outcome[]): string {
  const of = outcomes.flatMap(({ groups, title, status }) => {
    const pair = groups
      .map((group) => /^failpoints (.+)$/.exec(group)?.[1])
      .find((found) => found !== undefined);
    const [, name, action] = /^(\S+) (kill|hang)$/.exec(title) ?? [];
    return pair === undefined || name === undefined || action === undefined
      ? []
      : [{ pair, name, action, status }];
  });
  const pairs = [...new Set(of.map(({ pair }) => pair))];
  const names = [...new Set(of.map(({ name }) => name))];
  const columns = pairs.flatMap((pair) => ['kill', 'hang'].map((action) => ({ pair, action })));
  const rows = names.map((name) => [
    `\`${name}\``,
    ...columns.map(({ pair, action }) =>
      sign(
        of
          .filter((one) => one.name === name && one.pair === pair && one.action === action)
          .map(({ status }) => status),
      ),
    ),
  ]);
  return table(['failpoint', ...columns.map(({ pair, action }) => `${pair}, ${action}`)], rows);
}

function scenarioTable(outcomes: readonly Outcome[]): string {
  const of = outcomes.flatMap(({ groups, title, status }) => {
    const [, number, name] = /^(\d+) (?!kills)(.+)$/.exec(title) ?? [];
    return number === undefined || name === undefined
      ? []
      : [{ number: Number(number), name, where: groups.join(', '), status }];
  });
  const sorted = of.toSorted((a, b) => a.number - b.number);
  const keys = [...new Set(sorted.map(({ number, name }) => `${number}\n${name}`))];
  const rows = keys.map((key) => {
    const same = sorted.filter(({ number, name }) => `${number}\n${name}` === key);
    const [number = '', name = ''] = key.split('\n');
    return [
      number,
      name,
      [...new Set(same.map(({ where }) => where))].join('; '),
      sign(same.map(({ status }) => status)),
    ];
  });
  return table(['no.', 'scenario', 'where', 'outcome'], rows);
}

function killTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap(({ title, status }) => {
    const [, kills, pair] = /^(\d+) kills (.+)$/.exec(title) ?? [];
    return kills === undefined || pair === undefined ? [] : [[pair, kills, sign([status])]];
  });
  return table(['pair', 'kill -9', 'outcome'], rows);
}

function page(outcomes: readonly Outcome[]): string {
  return `# Scoreboard

Made by \`npm run scoreboard\` from the last results of the tests. Each of them ends with the destination holding
what the source holds: compared table by table by count and content, in append mode every event exactly once, and
with a row account that balances.

## Random kills under a live workload

${killTable(outcomes)}

## The process dies or hangs at a failpoint

${failpointTable(outcomes)}

## Scenarios

${scenarioTable(outcomes)}
`;
}

function main(): void {
  const given = argv[2];
  const dir = mkdtempSync(join(tmpdir(), 'fb-scoreboard-'));
  try {
    const file = given ?? join(dir, 'report.json');
    if (given === undefined) runTests(file);
    writeFileSync(join(root, 'docs', 'scoreboard.md'), page(readOutcomes(file)));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

main();
