import { z } from 'zod';
import { EXECUTION_STATUSES, executionDetailSchema } from '../../api/schemas/executions.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { tellEnd, waitForEnd } from '../client/execution-end.ts';
import { findExecution, findPipeline, lineageOf, PATHS, someExecutions } from '../client/find.ts';
import { clientShape, count, daysShape, waitShape } from '../client/options.ts';
import { sayDone, show as showDocument } from '../client/say.ts';
import { EXECUTION_COLUMNS, LINEAGE_COLUMNS } from '../client/views.ts';
import { printListing } from '../list-output.ts';
import { outputFormat, readOptions } from '../options.ts';

const listShape = {
  ...clientShape,
  ...daysShape,
  pipeline: z.string().optional(),
  status: z
    .enum(EXECUTION_STATUSES, { error: `must be one of ${EXECUTION_STATUSES.join(', ')}` })
    .optional(),
  limit: count(1, 100_000).default(50),
};

export const list: RunCommand = ({ options, terminal }) => {
  const given = readOptions(listShape, options);
  return withServer(given, async (api) => {
    const { pipeline, status, from, to, limit } = given;
    const of = pipeline === undefined ? undefined : (await findPipeline(api, pipeline)).id;
    const filter = { pipeline_id: of, status, date_from: from, date_to: to };
    const rows = await someExecutions(api, filter, limit);
    const empty = 'There are no such executions.';
    const listing = { key: 'executions', rows, columns: EXECUTION_COLUMNS, empty };
    printListing(listing, outputFormat(given), terminal);
    return 0;
  });
};

export const show: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const execution = await findExecution(api, args[0] ?? '');
    showDocument({ ...execution }, outputFormat(given), terminal);
    return 0;
  });
};

export const lineage: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const rows = await lineageOf(api, await findExecution(api, args[0] ?? ''));
    const empty = 'It has recorded no lineage.';
    const listing = { key: 'lineage', rows, columns: LINEAGE_COLUMNS, empty };
    printListing(listing, outputFormat(given), terminal);
    return 0;
  });
};

const cancelShape = { ...clientShape, ...waitShape };

export const cancel: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(cancelShape, options);
  return withServer(given, async (api) => {
    const { id } = await findExecution(api, args[0] ?? '');
    const path = `${PATHS.executions}/${id}/cancel`;
    const asked = await api.post(executionDetailSchema, path);
    const execution = given.wait ? await waitForEnd({ api, terminal }, id) : asked;
    const sentence = given.wait
      ? `${id} is ${execution.status}`
      : `${id} ends after what is in hand`;
    sayDone(sentence, { execution }, { format: outputFormat(given), terminal });
    if (!given.wait || execution.status === 'cancelled') return 0;
    return tellEnd(execution, terminal);
  });
};
