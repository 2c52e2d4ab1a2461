import { scheduleSchema } from '../../api/schemas/schedules.ts';
import type { RunCommand } from '../call.ts';
import { withServer } from '../client/connect.ts';
import { allPipelines, allSchedules, findSchedule, PATHS } from '../client/find.ts';
import { clientShape } from '../client/options.ts';
import { sayDone, show as showDocument } from '../client/say.ts';
import { SCHEDULE_COLUMNS } from '../client/views.ts';
import { printListing } from '../list-output.ts';
import { outputFormat, readOptions } from '../options.ts';

export const list: RunCommand = ({ options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const [schedules, pipelines] = await Promise.all([allSchedules(api), allPipelines(api)]);
    const names = new Map(pipelines.map(({ id, name }) => [id, name]));
    const rows = schedules.map((schedule) => ({
      ...schedule,
      pipeline_name: names.get(schedule.pipeline_id) ?? schedule.pipeline_id,
    }));
    const empty = 'There are no schedules.';
    const listing = { key: 'schedules', rows, columns: SCHEDULE_COLUMNS, empty };
    printListing(listing, outputFormat(given), terminal);
    return 0;
  });
};

export const show: RunCommand = ({ args, options, terminal }) => {
  const given = readOptions(clientShape, options);
  return withServer(given, async (api) => {
    const schedule = await findSchedule(api, args[0] ?? '');
    showDocument({ ...schedule }, outputFormat(given), terminal);
    return 0;
  });
};

export const pausing =
  (action: 'pause' | 'resume'): RunCommand =>
  ({ args, options, terminal }) => {
    const given = readOptions(clientShape, options);
    return withServer(given, async (api) => {
      const { id } = await findSchedule(api, args[0] ?? '');
      const schedule = await api.post(scheduleSchema, `${PATHS.schedules}/${id}/${action}`);
      const next =
        schedule.next_run_at === null
          ? 'nothing is due'
          : `the next run is at ${schedule.next_run_at}`;
      const state = schedule.is_paused ? 'paused' : 'not paused';
      const output = { format: outputFormat(given), terminal };
      sayDone(`The schedule is ${state}; ${next}`, { schedule }, output);
      return 0;
    });
  };
