/** A worker of a Temporal cluster. */
import { startControlWorker } from '../../api/control/control-plane.ts';
import { ForebayError } from '../../core/errors.ts';
import { ServiceLog } from '../../service/log.ts';
import type { RunCommand } from '../call.ts';
import { readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import { readServerEnvironment, serverShape } from '../server-settings.ts';
import { untilStopped, watchSignals } from '../signals.ts';

const STOPPING = 'Stopping: what is in hand is given back first. Once more to stop now.';
const MAX_ACTIVITIES = 10;
const ACTIVITY_TIMEOUT_MS = 30 * 60_000;

export const run: RunCommand = async ({ options, terminal }) => {
  const { json, dataDir } = readOptions(
    { dataDir: serverShape.dataDir, json: serverShape.json },
    options,
  );
  const { temporal, ...environment } = readServerEnvironment();
  if (temporal === null) {
    throw new ForebayError('usage', {
      message: 'a worker joins a Temporal cluster, and none is named',
      fix: 'Set FOREBAY_TEMPORAL_ADDRESS to its host and port.',
    });
  }
  const log = new ServiceLog({ level: 'info', format: json ? 'json' : 'text' }, (line) =>
    terminal.err(scrubSecrets(line)),
  );
  using interruption = watchSignals((text) => terminal.err(`${text}\n`), STOPPING);
  await using _worker = await startControlWorker({
    ...environment,
    temporal,
    dataDir: dataDir ?? environment.dataDir,
    environment: process.env,
    maxActivities: MAX_ACTIVITIES,
    activityTimeoutMs: ACTIVITY_TIMEOUT_MS,
    log: log.root,
  });
  terminal.out(`Working for ${temporal.address}, queue ${temporal.taskQueue}\n`);
  await untilStopped(interruption);
  return 0;
};
