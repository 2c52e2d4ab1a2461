import {
  pipelineSchema,
  pipelineStateSchema,
  resyncedSchema,
} from '../../api/schemas/pipelines.ts';
import { ForebayError } from '../../core/errors.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { allPipelines, findPipeline, PATHS } from '../client/find.ts';
import { deletePipeline, sayLeft } from '../client/delete-pipeline.ts';
import { clientShape, confirmedShape, leaveShape } from '../client/options.ts';
import { printable } from '../client/printable.ts';
import { sayDone, show as showDocument } from '../client/say.ts';
import { PIPELINE_COLUMNS } from '../client/views.ts';
import { confirm } from '../confirm.ts';
import { printListing } from '../list-output.ts';
import { outputFormat, readOptions } from '../options.ts';

export const list: RunCommand = ({ options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const rows = await allPipelines(api);
    const empty = 'There are no pipelines. `forebay apply` makes them from files.';
    const listing = { key: 'pipelines', rows, columns: PIPELINE_COLUMNS, empty };
    printListing(listing, outputFormat(given), terminal);
    return 0;
  });
};

export const show: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const pipeline = await findPipeline(api, args[0] ?? '');
    showDocument({ ...pipeline }, outputFormat(given), terminal);
    return 0;
  });
};

type Control = 'start' | 'stop' | 'pause' | 'resume';

/** `pause` and `resume` are of pipelines that follow their source. */
export const control =
  (action: Control): RunCommand =>
  ({ args, options, terminal }) => {
    const given = readOptions(clientShape, options);
    return withServer(given, async (api) => {
      const { id, name } = await findPipeline(api, args[0] ?? '');
      const state = await api.post(pipelineStateSchema, `${PATHS.pipelines}/${id}/${action}`);
      const output = { format: outputFormat(given), terminal };
      sayDone(`${name} is ${state.state}`, { ...state }, output);
      return 0;
    });
  };

/** Streams of a pipeline that follows its source. */
export const resync: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const [pipeline = '', ...streams] = args;
    const { id, name } = await findPipeline(api, pipeline);
    const path = `${PATHS.pipelines}/${id}/resync`;
    const resynced = await api.post(resyncedSchema, path, { streams });
    const when = resynced.state === 'paused' ? 'once it is resumed' : 'while it goes on';
    const sentence = `${name}: ${streams.join(', ')} will be read again ${when}`;
    sayDone(sentence, { ...resynced }, { format: outputFormat(given), terminal });
    return 0;
  });
};

export const activation =
  (action: 'enable' | 'disable'): RunCommand =>
  ({ args, options, terminal }) => {
    const given = readOptions(clientShape, options);
    return withServer(given, async (api) => {
      const { id } = await findPipeline(api, args[0] ?? '');
      const pipeline = await api.post(pipelineSchema, `${PATHS.pipelines}/${id}/${action}`);
      const next =
        pipeline.next_run_at === null ? '' : `; the next run is at ${pipeline.next_run_at}`;
      const sentence = `${pipeline.name} is ${action}d${next}`;
      sayDone(sentence, { pipeline }, { format: outputFormat(given), terminal });
      return 0;
    });
  };

const deleteShape = { ...confirmedShape, ...leaveShape };

export const remove: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(deleteShape, options);
  return withServer(given, async (api) => {
    const { id, name, version } = await findPipeline(api, args[0] ?? '');
    const question = `Delete the pipeline ${printable(name)}? What it wrote stays.`;
    if (!(await confirm(question, given.yes, terminal))) {
      throw new ForebayError('interrupted', { message: 'Nothing was deleted' });
    }
    const left = await deletePipeline(api, { id, version }, given.leave);
    sayLeft(name, left, terminal);
    const output = { format: outputFormat(given), terminal };
    const more = left.length === 0 ? {} : { left };
    sayDone(`Deleted the pipeline ${name}`, { deleted: id, ...more }, output);
    return 0;
  });
};
