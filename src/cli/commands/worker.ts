/** A worker of a Temporal cluster. */
import { startControlWorker } from '../../api/control/control-plane.ts';
import { ForebayError } from '../../core/errors.ts';
import { temporalOf } from '../../service/server-config.ts';
import { ServiceLog } from '../../service/log.ts';
import { keepHeapSmall } from '../../service/small-heap.ts';
import type { RunCommand } from '../call.ts';
import { readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import { readServerEnvironment, readServerFile, serverShape } from '../server-settings.ts';
import { untilStopped, watchSignals } from '../signals.ts';

const STOPPING = 'Stopping: what is in hand is given back first. Once more to stop now.';

export const run: RunCommand = async ({ options, terminal }) => {
  const { json, ...given } = readOptions(
    { dataDir: serverShape.dataDir, config: serverShape.config, json: serverShape.json },
    options,
  );
  const environment = readServerEnvironment();
  const log = new ServiceLog({ level: 'info', format: json ? 'json' : 'text' }, (line) =>
    terminal.err(scrubSecrets(line)),
  );
  const dataDir = given.dataDir ?? environment.dataDir;
  const configFile = given.config ?? environment.configFile;
  const config = readServerFile({ dataDir, configFile }, terminal, log.root);
  if (config === null) return 2;
  const temporal = temporalOf(config);
  if (temporal === null) {
    throw new ForebayError('usage', {
      message: 'a worker joins a Temporal cluster, and none is named',
      fix: 'Set etl.temporal.address or FOREBAY_TEMPORAL_ADDRESS to its host and port.',
    });
  }
  keepHeapSmall();
  using interruption = watchSignals((text) => terminal.err(`${text}\n`), STOPPING);
  await using _worker = await startControlWorker({
    ...environment,
    temporal,
    dataDir,
    environment: process.env,
    config,
    log: log.root,
  });
  terminal.out(`Working for ${temporal.address}, queue ${temporal.taskQueue}\n`);
  await untilStopped(interruption);
  return 0;
};
