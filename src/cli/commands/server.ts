/** The control plane: API (REST and gRPC), flows and schedules in one process. */
import { startControlPlane } from '../../api/control/control-plane.ts';
import { asForebayError } from '../../core/errors.ts';
import { ServiceLog } from '../../service/log.ts';
import { keepHeapSmall } from '../../service/small-heap.ts';
import type { RunCommand } from '../call.ts';
import { printError } from '../failure.ts';
import { readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import { readServerEnvironment, readServerFile, serverShape } from '../server-settings.ts';
import { untilStopped, watchSignals } from '../signals.ts';

const STOPPING = 'Stopping: what is in hand is finished first. Once more to stop now.';

/** A port or folder that is taken: the server itself has failed, and not a system that it was to reach. */
export const run: RunCommand = async (call) => {
  try {
    return await serve(call);
  } catch (error) {
    const failure = asForebayError(error);
    if (failure.code !== 'port_in_use') throw failure;
    printError(failure, call.terminal);
    return 1;
  }
};

const serve: RunCommand = async ({ options, terminal }) => {
  const { json, ...given } = readOptions(serverShape, options);
  const environment = readServerEnvironment();
  const log = new ServiceLog({ level: 'info', format: json ? 'json' : 'text' }, (line) =>
    terminal.err(scrubSecrets(line)),
  );
  const dataDir = given.dataDir ?? environment.dataDir;
  const configFile = given.config ?? environment.configFile;
  const config = readServerFile({ dataDir, configFile }, terminal, log.root);
  if (config === null) return 2;
  keepHeapSmall();
  using interruption = watchSignals((text) => terminal.err(`${text}\n`), STOPPING);
  await using server = await startControlPlane({
    ...environment,
    dataDir,
    host: given.host ?? environment.host,
    port: given.port ?? environment.port,
    grpcPort: given.grpcPort ?? environment.grpcPort,
    environment: process.env,
    config,
    log: log.root,
  });
  terminal.out(`Listening on ${server.url}\n`);
  if (server.setupToken !== null)
    terminal.out(`Setup token (valid for an hour, for POST /api/v1/setup): ${server.setupToken}\n`);
  terminal.out(`gRPC on ${server.grpcAddress}\n`);
  await untilStopped(interruption);
  return 0;
};
