import { z } from 'zod';
import {
  catalogSchema,
  connectionSchema,
  connectionTestSchema,
  type Catalog,
  type ConnectionTest,
} from '../../api/schemas/connections.ts';
import {
  connectorTypeInput,
  connectorTypeOf,
  type ConnectorType,
} from '../../api/schemas/connectors.ts';
import { nearest } from '../../connectors/nearest.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import {
  fillSecret,
  readConnectionFields,
  type FieldFault,
  surroundingsOf,
} from '../apply/connection-fields.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { allConnections, findConnection, PATHS } from '../client/find.ts';
import { clientShape, confirmedShape } from '../client/options.ts';
import { printable } from '../client/printable.ts';
import { sayDone, show as showDocument } from '../client/say.ts';
import { CONNECTION_COLUMNS } from '../client/views.ts';
import { confirm } from '../confirm.ts';
import { throwAll } from '../failure.ts';
import { formatCount } from '../format.ts';
import { printDocument, printListing } from '../list-output.ts';
import { outputFormat, readOptions, settingsShape } from '../options.ts';
import { renderTable, type TableColumn } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export const list: RunCommand = ({ options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const rows = await allConnections(api);
    const empty = 'There are no connections. `forebay connections create` makes one.';
    const listing = { key: 'connections', rows, columns: CONNECTION_COLUMNS, empty };
    printListing(listing, outputFormat(given), terminal);
    return 0;
  });
};

export const show: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const connection = await findConnection(api, args[0] ?? '');
    showDocument({ ...connection }, outputFormat(given), terminal);
    return 0;
  });
};

const createShape = { ...clientShape, ...settingsShape, type: z.string() };

function readType(text: string): ConnectorType {
  const known = connectorTypeInput.safeParse(text);
  if (known.success) return connectorTypeOf(known.data);
  const meant = nearest(text, connectorTypeInput.options);
  throw new ForebayError('usage', {
    message: `there is no connector ${JSON.stringify(text)}`,
    fix:
      meant === null
        ? `It is one of ${connectorTypeInput.options.join(', ')}.`
        : `Did you mean ${meant}?`,
  });
}

const optionErrors = (faults: readonly FieldFault[]): readonly ForebayError[] =>
  faults.map(
    ({ field, message, fix }) =>
      new ForebayError('usage', { message: `--set ${field}: ${message}`, fix }),
  );

/** Secrets come from the environment or files: other users of the machine see arguments. */
function readConfig(type: ConnectorType, set: Readonly<Record<string, string>>): object {
  const surroundings = surroundingsOf(process.cwd());
  const { value: fields, faults } = readConnectionFields(type, set, surroundings);
  throwAll(optionErrors(faults));
  const secrets = [...(fields?.secrets ?? [])].flatMap(([field, template]) => {
    if (template === null) return [];
    const filled = fillSecret(field, template, surroundings);
    throwAll(optionErrors(filled.faults));
    return [[field, filled.value] as const];
  });
  return { ...fields?.plain, ...Object.fromEntries(secrets) };
}

export const create: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(createShape, options);
  const connector_type = readType(given.type);
  const config = readConfig(connector_type, given.set);
  return withServer(given, async (api) => {
    const body = { name: args[0] ?? '', connector_type, config };
    const connection = await api.post(connectionSchema, PATHS.connections, body);
    const sentence = `Made the connection ${connection.name} (${connection.id})`;
    sayDone(sentence, { connection }, { format: outputFormat(given), terminal });
    return 0;
  });
};

type TestStep = ConnectionTest['steps'][number];

function printSteps({ steps, message }: ConnectionTest, terminal: Terminal): void {
  const { green, yellow, red, dim } = terminal.outStyle;
  const paint = { ok: green, info: dim, warning: yellow, error: red, skipped: dim } as const;
  const columns: readonly TableColumn<TestStep>[] = [
    { title: 'step', cell: ({ step }) => printable(step) },
    { title: 'status', cell: ({ status }) => paint[status](status) },
    { title: 'finding', cell: (step) => printable(step.message) },
  ];
  terminal.out(`${renderTable(columns, steps, terminal.outStyle).join('\n')}\n`);
  const fixes = steps.flatMap(({ step, fix }) => (fix === null ? [] : [`${step}: ${fix}`]));
  for (const fix of fixes) terminal.out(`${dim('to do')}  ${printable(fix)}\n`);
  terminal.err(`${printable(message)}\n`);
}

function exitOfTest({ success, steps }: ConnectionTest): ExitCode {
  if (success) return 0;
  return steps.some(({ step, status }) => status === 'error' && step === 'auth') ? 4 : 3;
}

async function found(call: CommandCall, api: ApiClient): Promise<string> {
  const { id } = await findConnection(api, call.args[0] ?? '');
  return `${PATHS.connections}/${id}`;
}

export const test: RunCommand = (call) => {
  const given = readOptions(clientShape, call.options);
  const format = outputFormat(given);
  return withServer(given, async (api) => {
    const result = await api.post(connectionTestSchema, `${await found(call, api)}/test`);
    if (format === 'table') printSteps(result, call.terminal);
    else printDocument({ ...result }, format, call.terminal);
    return exitOfTest(result);
  });
};

const CATALOG_COLUMNS: readonly TableColumn<Catalog['streams'][number]>[] = [
  { title: 'stream', cell: ({ stream }) => printable(stream) },
  { title: 'key', cell: ({ key }) => (key.length === 0 ? '-' : printable(key.join(', '))) },
  { title: 'columns', align: 'right', cell: ({ columns }) => formatCount(columns.length) },
  {
    title: 'rows, about',
    align: 'right',
    cell: ({ estimated_rows: rows }) => (rows === null ? '-' : formatCount(rows)),
  },
  { title: 'readable', cell: ({ readable }) => (readable ? 'yes' : 'no') },
];

export const catalog: RunCommand = (call) => {
  const given = readOptions(clientShape, call.options);
  return withServer(given, async (api) => {
    const { streams: rows } = await api.get(catalogSchema, `${await found(call, api)}/catalog`);
    const empty = 'There is nothing that can be read.';
    const listing = { key: 'streams', rows, columns: CATALOG_COLUMNS, empty };
    printListing(listing, outputFormat(given), call.terminal);
    return 0;
  });
};

export const remove: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(confirmedShape, options);
  return withServer(given, async (api) => {
    const { id, name, version } = await findConnection(api, args[0] ?? '');
    if (!(await confirm(`Delete the connection ${printable(name)}?`, given.yes, terminal))) {
      throw new ForebayError('interrupted', { message: 'Nothing was deleted' });
    }
    await api.delete(`${PATHS.connections}/${id}`, version);
    const output = { format: outputFormat(given), terminal };
    sayDone(`Deleted the connection ${name}`, { deleted: id }, output);
    return 0;
  });
};
