// `npm run docs`: writes the pages that are made from the source. With --check it writes nothing and fails
// when a page is stale.
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { argv, exit, stdout } from 'node:process';

import { openApiDocument } from '../src/api/openapi.ts';
import { ROUTES } from '../src/api/routes/index.ts';
import { runCommandLine } from '../src/cli/command-line.ts';
import { openTerminal } from '../src/cli/terminal.ts';
import { ERROR_TABLE } from '../src/core/errors.ts';
import { configurationJsonSchema } from '../src/service/configuration/json-schema.ts';
import { apiPage } from './api-page.ts';
import { configurationPage } from './configuration-page.ts';
import { protoFiles } from './proto-files.ts';

const exitCodes: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [1, 'failed while running: disk full, a bug, another run took over'],
  [
    2,
    'usage or invalid configuration; for `plan` and `apply --plan` with `--detailed-exitcode`: something would change',
  ],
  [
    3,
    'cannot begin: not reachable, TLS refused, no such database or table, settings, slot or file taken',
  ],
  [4, 'authentication or a missing privilege, also a read-only destination'],
  [5, 'done in part: a stream is paused, rows were dead-lettered, a document failed'],
  [6, 'a comparison found differences'],
  [7, 'the position in the source is lost'],
  [75, 'a transient failure outlasted its retries; the same command goes on where it stopped'],
  [130, 'interrupted'],
];

const commands = [
  ['copy'],
  ['replicate'],
  ['plan'],
  ['recover'],
  ['run'],
  ['server'],
  ['drop'],
  ['transform'],
  ['check'],
  ['discover'],
  ['connectors'],
  ['validate'],
  ['dlq', 'list'],
  ['dlq', 'show'],
  ['dlq', 'replay'],
  ['dlq', 'drop'],
  ['failpoints'],
  ['login'],
  ['logout'],
  ['setup-token'],
  ['connections'],
  ['connections', 'create'],
  ['connections', 'test'],
  ['pipelines'],
  ['executions'],
  ['executions', 'list'],
  ['schedules'],
  ['trigger'],
  ['backfill'],
  ['logs'],
  ['status'],
  ['apply'],
  ['export'],
  ['demo'],
] as const;

function exitTable(): string[] {
  return [
    '| exit | means |',
    '|---|---|',
    ...exitCodes.map(([code, text]) => `| ${code} | ${text} |`),
  ];
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_TABLE).map(
    ([code, { class: errorClass, exit: exitCode, http, meaning, fix }]) =>
      `| \`${code}\` | ${errorClass} | ${exitCode} | ${http} | ${meaning} | ${fix} |`,
  );
  return [
    '# Errors',
    '',
    '<!-- Made by `npm run docs` from src/core/error-table.ts. -->',
    '',
    'Every failure has one of these codes, on the command line and in results. Its class decides what happens:',
    '`transient`, `rate-limited` and `timeout` are tried again; `data` goes to the dead letters; `schema` pauses',
    'the stream; `position-lost` halts until `forebay recover`; the others end the run.',
    '',
    '| code | class | exit | HTTP | what it means | what to do |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    '## Exit codes',
    '',
    ...exitTable(),
    '',
  ].join('\n');
}

async function helpOf(args: readonly string[]): Promise<string> {
  let text = '';
  const keep = { write: (part: string | Uint8Array) => (text += String(part)) !== '' };
  const terminal = openTerminal({ stdin: {}, stdout: keep, stderr: keep, env: { NO_COLOR: '1' } });
  await runCommandLine([...args, '--help'], terminal);
  return text.trimEnd();
}

async function commandsPage(): Promise<string> {
  const lines = [
    '# The command line',
    '',
    '<!-- Made by `npm run docs` from the help texts. -->',
    '',
    'Results go to stdout, everything else to stderr. With `--json` a run prints one event a line on stderr and',
    'its result as the last line of stdout; both carry `"v": 1`. Ctrl-C once ends in order: what is in hand is',
    'committed or abandoned. Twice ends at once. Nothing is lost either way: the same command goes on.',
    '',
    '```text',
    await helpOf([]),
    '```',
  ];
  for (const command of commands) {
    lines.push('', `## forebay ${command.join(' ')}`, '', '```text', await helpOf(command), '```');
  }
  lines.push(
    '',
    '## Exit codes',
    '',
    ...exitTable(),
    '',
    'All codes of errors: [errors](errors.md).',
    '',
  );
  return lines.join('\n');
}

// Those of services alone: `grpc.health.v1` beside them is not ours to make.
const protosBefore = globSync('proto/forebay/**/*.proto').map((path) => path.replaceAll('\\', '/'));
const protos = [
  ...protoFiles(
    ROUTES,
    protosBefore.map((path) => readFileSync(path, 'utf8')),
  ),
].map(([path, text]) => [`proto/${path}`, text] as const);

const schema = configurationJsonSchema();
const pages = new Map([
  ['docs/errors.md', errorsPage()],
  ['docs/cli.md', await commandsPage()],
  ['docs/configuration.md', configurationPage(schema)],
  ['docs/api-reference.md', apiPage(ROUTES)],
  ['schema/openapi.json', `${JSON.stringify(openApiDocument(ROUTES), null, 2)}\n`],
  ['schema/configuration.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
  ...protos,
]);
const stale = [...pages].filter(
  ([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text,
);
// Of a service that there is no more.
const left = protosBefore.filter((path) => !pages.has(path));
if (argv.includes('--check')) {
  for (const file of left) stdout.write(`${file} is left over: run npm run docs\n`);
  for (const [file] of stale) stdout.write(`${file} is stale: run npm run docs\n`);
  if (stale.length + left.length > 0) exit(1);
} else {
  for (const file of left) rmSync(file);
  for (const [file, text] of stale) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  stdout.write(`${stale.length} of ${pages.size} pages written\n`);
}
