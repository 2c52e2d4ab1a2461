/** Starts executions, and tells how they end. */
import { z } from 'zod';
import { scheduledSchema } from '../../api/schemas/pipelines.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { summaryOf, tellEnd, waitForEnd } from '../client/execution-end.ts';
import { findPipeline } from '../client/find.ts';
import { clientShape, daysShape, waitShape } from '../client/options.ts';
import { sayDone } from '../client/say.ts';
import { type OutputFormat, outputFormat, readOptions } from '../options.ts';
import type { Terminal } from '../terminal.ts';

interface Started {
  readonly name: string;
  readonly id: string;
  readonly wait: boolean;
  readonly format: OutputFormat;
}

export async function follow(
  api: ApiClient,
  started: Started,
  terminal: Terminal,
): Promise<ExitCode> {
  const { name, id, wait, format } = started;
  const output = { format, terminal };
  if (!wait) {
    sayDone(
      `${name}: execution ${id} is scheduled`,
      { execution_id: id, status: 'scheduled' },
      output,
    );
    return 0;
  }
  try {
    const execution = await waitForEnd({ api, terminal }, id);
    sayDone(`${name}: execution ${id} ${summaryOf(execution)}`, { execution }, output);
    return tellEnd(execution, terminal);
  } catch (error) {
    if (!api.signal.aborted) throw error;
    throw new ForebayError('interrupted', {
      message: `The execution ${id} is not waited for any longer; it goes on`,
      fix: `See \`forebay logs ${id} -f\`, or end it with \`forebay executions cancel ${id}\`.`,
      cause: error,
    });
  }
}

const triggerShape = {
  ...clientShape,
  ...daysShape,
  ...waitShape,
  force: z.boolean().default(false),
};

function dateRange(from: string | undefined, to: string | undefined) {
  if (from === undefined && to === undefined) return {};
  if (from !== undefined && to !== undefined) return { date_range: { start: from, end: to } };
  throw new ForebayError('usage', {
    message: '--from and --to belong together',
    fix: 'Give both; both days are inclusive, in UTC.',
  });
}

export const trigger: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(triggerShape, options);
  const parameters = { ...dateRange(given.from, given.to), force: given.force };
  return withServer(given, async (api) => {
    const { id: pipeline_id, name } = await findPipeline(api, args[0] ?? '');
    const body = { pipeline_id, parameters };
    const { execution_id: id } = await api.post(scheduledSchema, '/api/v1/etl/trigger', body);
    return await follow(api, { name, id, wait: given.wait, format: outputFormat(given) }, terminal);
  });
};
