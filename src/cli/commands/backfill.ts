/** Reads days or keys of the past again, or says what would be read. */
import { z } from 'zod';
import { backfillPreviewSchema, type BackfillPreview } from '../../api/schemas/backfills.ts';
import { scheduledSchema } from '../../api/schemas/pipelines.ts';
import { ForebayError } from '../../core/errors.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { findPipeline, PATHS } from '../client/find.ts';
import { clientShape, count, daysShape, key, waitShape, wholeNumber } from '../client/options.ts';
import { printable } from '../client/printable.ts';
import { printDocument } from '../list-output.ts';
import { type OutputFormat, outputFormat, readOptions } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { follow } from './trigger.ts';

const shape = {
  ...clientShape,
  ...daysShape,
  ...waitShape,
  days: count(1, 3660).optional(),
  key: z.string().optional(),
  fromKey: key.optional(),
  toKey: key.optional(),
  rangeSize: wholeNumber.optional(),
  retryOf: z.string().optional(),
  parallel: count(1, 64).optional(),
  maxRows: wholeNumber.optional(),
  preview: z.boolean().default(false),
};
type Given = z.output<z.ZodObject<typeof shape>>;

function mistake(message: string): ForebayError {
  return new ForebayError('usage', {
    message,
    fix: 'Give --from and --to, or --key with --from-key and --to-key, or --retry-of.',
  });
}

/** Which of the three ways it was asked for; the options of another one are not passed over. */
function rangesOf(given: Given): Readonly<Record<string, unknown>> {
  const { from, to, days, key: column, fromKey: start, toKey: end, rangeSize, retryOf } = given;
  const ways = [[from, to, days], [column, start, end, rangeSize], [retryOf]].filter((options) =>
    options.some((option) => option !== undefined),
  );
  if (ways.length === 0) throw mistake('It is not said what is to be read');
  if (ways.length > 1) throw mistake('Days, keys and --retry-of exclude each other');
  if (retryOf !== undefined) return { retry_of: retryOf };
  if (column !== undefined && start !== undefined && end !== undefined)
    return { key_range: { column, start, end }, range_size: rangeSize };
  if (from !== undefined && to !== undefined)
    return { date_range: { start: from, end: to }, range_days: days };
  if (from !== undefined || to !== undefined || days !== undefined)
    throw mistake('--from and --to belong together');
  throw mistake('--key, --from-key and --to-key belong together');
}

function show(
  name: string,
  preview: BackfillPreview,
  { format, terminal }: { readonly format: OutputFormat; readonly terminal: Terminal },
): void {
  if (format !== 'table') {
    printDocument({ ...preview }, format, terminal);
    return;
  }
  const { ranges, total_ranges, streams } = preview;
  const [first, last] = [ranges[0], ranges.at(-1)];
  const bounds = first === undefined || last === undefined ? '' : `, ${first.start}..${last.end}`;
  terminal.out(`${printable(name)}: ${total_ranges} ranges${bounds}; nothing was started\n`);
  for (const { stream, column, rows } of streams) {
    const counted = rows === null ? 'rows are not counted' : `${rows} rows`;
    terminal.out(`  ${printable(stream)}: ${counted}, by ${printable(column)}\n`);
  }
}

export const run: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(shape, options);
  const body = {
    ...rangesOf(given),
    parallel: given.parallel,
    max_rows: given.maxRows,
    ...(given.preview ? { preview: true } : {}),
  };
  return withServer(given, async (api) => {
    const { id: pipelineId, name } = await findPipeline(api, args[0] ?? '');
    const path = `${PATHS.pipelines}/${pipelineId}/backfill`;
    const format = outputFormat(given);
    if (given.preview) {
      show(name, await api.post(backfillPreviewSchema, path, body), { format, terminal });
      return 0;
    }
    const { execution_id: id } = await api.post(scheduledSchema, path, body);
    return await follow(api, { name, id, wait: given.wait, format }, terminal);
  });
};
