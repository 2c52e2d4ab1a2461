/** The control plane: API, flows and schedules in one process. */
import { startControlPlane } from '../../api/control/control-plane.ts';
import { ServiceLog } from '../../service/log.ts';
import type { RunCommand } from '../call.ts';
import { readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import { readServerEnvironment, serverShape } from '../server-settings.ts';
import { untilStopped, watchSignals } from '../signals.ts';

const STOPPING = 'Stopping: what is in hand is finished first. Once more to stop now.';
const MAX_ACTIVITIES = 10;
const ACTIVITY_TIMEOUT_MS = 30 * 60_000;

export const run: RunCommand = async ({ options, terminal }) => {
  const { json, ...given } = readOptions(serverShape, options);
  const environment = readServerEnvironment();
  const log = new ServiceLog({ level: 'info', format: json ? 'json' : 'text' }, (line) =>
    terminal.err(scrubSecrets(line)),
  );
  using interruption = watchSignals((text) => terminal.err(`${text}\n`), STOPPING);
  await using server = await startControlPlane({
    ...environment,
    dataDir: given.dataDir ?? environment.dataDir,
    host: given.host ?? environment.host,
    port: given.port ?? environment.port,
    environment: process.env,
    maxActivities: MAX_ACTIVITIES,
    activityTimeoutMs: ACTIVITY_TIMEOUT_MS,
    log: log.root,
  });
  terminal.out(`Listening on ${server.url}\n`);
  if (server.setupToken !== null)
    terminal.out(`Setup token (valid for an hour, for POST /api/v1/setup): ${server.setupToken}\n`);
  await untilStopped(interruption);
  return 0;
};
