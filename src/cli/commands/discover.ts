import { z } from 'zod';
import type { CatalogStream } from '../../core/connector.ts';
import { streamId } from '../../core/stream-schema.ts';
import { printType } from '../../core/value.ts';
import type { RunCommand } from '../call.ts';
import { throwAll } from '../failure.ts';
import { formatBytes, formatCount } from '../format.ts';
import { withInterruption } from '../interruption.ts';
import { printListing } from '../list-output.ts';
import { listShape, outputFormat, readOptions, settingsShape } from '../options.ts';
import type { TableColumn } from '../table.ts';
import { openSource } from '../../connectors/registry.ts';
import { checkSettings, lookContext, tryResolve } from '../systems.ts';

function describe({ schema, readable, estimatedRows, estimatedBytes }: CatalogStream) {
  const isKey = (index: number): boolean => schema.key.includes(index);
  return {
    stream: streamId(schema.stream),
    readable,
    identity: schema.identity,
    key: schema.key.flatMap((index) => schema.columns[index]?.name ?? []),
    estimatedRows,
    estimatedBytes,
    columns: schema.columns.map(({ name, type, nativeType, nullable }, index) => ({
      name,
      type: printType(type),
      nativeType,
      nullable,
      key: isKey(index),
    })),
    computed: schema.computed.map(({ name, nativeType }) => ({ name, nativeType })),
  };
}

type StreamDocument = ReturnType<typeof describe>;
interface ColumnRow {
  readonly stream: string;
  readonly column: StreamDocument['columns'][number];
}

const STREAM_COLUMNS: readonly TableColumn<StreamDocument>[] = [
  { title: 'stream', cell: ({ stream }) => stream },
  {
    title: 'rows (about)',
    align: 'right',
    cell: ({ estimatedRows }) => (estimatedRows === null ? '-' : formatCount(estimatedRows)),
  },
  {
    title: 'size (about)',
    align: 'right',
    cell: ({ estimatedBytes }) => (estimatedBytes === null ? '-' : formatBytes(estimatedBytes)),
  },
  { title: 'columns', align: 'right', cell: ({ columns }) => formatCount(columns.length) },
  {
    title: 'told apart by',
    cell: ({ identity, key }) => (identity === 'key' ? `key (${key.join(', ')})` : identity),
  },
  { title: '', cell: ({ readable }) => (readable ? '' : 'may not be read') },
];

const COLUMN_COLUMNS: readonly TableColumn<ColumnRow>[] = [
  { title: 'stream', cell: ({ stream }) => stream },
  { title: 'column', cell: ({ column }) => column.name },
  { title: 'type', cell: ({ column }) => column.nativeType },
  { title: 'as', cell: ({ column }) => column.type },
  { title: '', cell: ({ column }) => (column.key ? 'key' : column.nullable ? '' : 'not null') },
];

export const run: RunCommand = async ({ args, options, terminal }) => {
  const shape = { ...listShape, ...settingsShape, columns: z.boolean().default(false) };
  const { set, columns, ...output } = readOptions(shape, options);
  const { system, error } = await tryResolve(args[0] ?? '');
  if (system === null) throw error;
  throwAll(checkSettings(set, [system]));
  const found = await withInterruption(async (signal) => {
    await using source = await openSource(system, lookContext(signal, set));
    return await source.discover();
  });
  const rows = found.map(describe).toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  const format = outputFormat(output);
  const empty = `${system.address.display} has no tables that the user may see.`;
  if (format === 'table' && columns) {
    const flat = rows.flatMap(({ stream, columns: own }) =>
      own.map((column): ColumnRow => ({ stream, column })),
    );
    printListing({ key: 'columns', rows: flat, columns: COLUMN_COLUMNS, empty }, format, terminal);
  } else {
    printListing({ key: 'streams', rows, columns: STREAM_COLUMNS, empty }, format, terminal);
  }
  return 0;
};
