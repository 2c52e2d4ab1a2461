/** The service of a configuration file. */
import { basename } from 'node:path';
import { asForebayError, ERROR_TABLE, type ExitCode, ForebayError } from '../../core/errors.ts';
import type { RunResult } from '../../engine/pipeline.ts';
import { Service } from '../../service/service.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { readConfiguration } from '../configuration-file.ts';
import { safeReport } from '../failure.ts';
import { readOptions, runShape } from '../options.ts';
import { resultDocument, resultExitCode } from '../result-output.ts';
import { scrubSecrets } from '../scrub.ts';
import { watchSignals } from '../signals.ts';
import { printEvent } from '../view/json-view.ts';

const STOPPING = 'Stopping: what is in hand is finished first. Once more to stop now.';

/** What ends the process with something else than success stands first. */
const GRAVEST: readonly ExitCode[] = [7, 4, 3, 2, 1, 75, 6, 5, 130, 0];

function exitCodeOf(results: readonly RunResult[], stopped: boolean): ExitCode {
  const codes = results.map((result): ExitCode => {
    // Stopped before it began is an orderly end of the service.
    if (result.status === 'stopped') return 0;
    if (stopped && result.error !== null) return ERROR_TABLE[result.error.code].exit;
    // What an earlier run paused was told then.
    const streams = result.streams.map((stream) =>
      stream.pausedEarlier ? { ...stream, paused: null } : stream,
    );
    return resultExitCode({ ...result, streams });
  });
  return GRAVEST.find((code) => codes.includes(code)) ?? 0;
}

interface Ending {
  readonly results: ReadonlyMap<string, RunResult>;
  readonly durationMs: number;
  /** By a signal. */
  readonly stopped: boolean;
  /** What ended the service itself; null if it came to its end. */
  readonly failure: ForebayError | null;
}

function statusOf({ results, stopped, failure }: Ending): RunResult['status'] {
  const statuses = [...results.values()].map(({ status }) => status);
  if (failure !== null || statuses.includes('failed')) return 'failed';
  return stopped || statuses.includes('stopped') ? 'stopped' : 'completed';
}

/** One object for all: streams are tables, each with the entry of the file that it belongs to. */
function combinedDocument(file: string, ending: Ending): Readonly<Record<string, unknown>> {
  const { results, failure, durationMs } = ending;
  const documents = [...results].map(([id, result]) => ({ id, document: resultDocument(result) }));
  const failed = [...results.values()].find(({ error }) => error !== null);
  const lags = [...results.values()].flatMap(({ lagMs }) => lagMs ?? []);
  const error = failed === undefined ? null : resultDocument(failed)['error'];
  return {
    v: 1,
    pipeline: basename(file),
    status: statusOf(ending),
    durationMs: Math.round(durationMs),
    streams: documents.flatMap(({ id, document }) =>
      (document['streams'] as readonly object[]).map((stream) => ({ ...stream, pipeline: id })),
    ),
    position: { from: null, to: null },
    lagMs: lags.length === 0 ? null : Math.max(...lags),
    error: failure === null ? error : safeReport(failure),
    pipelines: documents.map(({ id, document }) => {
      const { v: _v, streams: _streams, ...rest } = document;
      return { ...rest, pipeline: id };
    }),
  };
}

async function serve(service: Service, call: CommandCall): Promise<boolean> {
  const { json } = readOptions(runShape, call.options);
  const say = (text: string): void => (json ? undefined : call.terminal.err(`${text}\n`));
  using interruption = watchSignals(say, STOPPING);
  const onHangUp = (): void => service.reload('signal');
  process.on('SIGHUP', onHangUp);
  try {
    await service.start();
    const interrupted = new Promise<'interrupted'>((resolve) => {
      interruption.signal.addEventListener('abort', () => resolve('interrupted'), { once: true });
      if (interruption.signal.aborted) resolve('interrupted');
    });
    const ended = call.options['untilCaughtUp'] === true ? service.allEnded() : null;
    const cause = await Promise.race([interrupted, ...(ended === null ? [] : [ended])]);
    if (cause !== 'interrupted') return false;
    if (await service.stop()) return true;
    throw new ForebayError('timeout', {
      message: 'streams did not end within graceful_shutdown_timeout and were cut off',
      fix: 'Nothing is lost: they go on from their checkpoints. Raise graceful_shutdown_timeout for an orderly end.',
    });
  } finally {
    process.off('SIGHUP', onHangUp);
  }
}

/** A failure of the service itself is a value here: the result tells it, and what the streams had done by then. */
async function serveToEnd(
  service: Service,
  call: CommandCall,
): Promise<Pick<Ending, 'stopped' | 'failure'>> {
  try {
    return { stopped: await serve(service, call), failure: null };
  } catch (error) {
    return { stopped: false, failure: asForebayError(error) };
  }
}

export const run: RunCommand = async (call) => {
  const { terminal, args, options } = call;
  const { json } = readOptions(runShape, options);
  const file = args[0] ?? '';
  const startedAt = performance.now();
  const loaded = readConfiguration(file, terminal);
  if (loaded === null) return 2;
  await using service = new Service({
    file,
    loaded,
    untilCaughtUp: options['untilCaughtUp'] === true,
    write: (line) => terminal.err(scrubSecrets(line)),
    ...(json ? { tell: (event) => terminal.err(`${printEvent(event)}\n`) } : {}),
  });
  const end = await serveToEnd(service, call);
  const { results } = service;
  if (json) {
    const ending = { ...end, results, durationMs: performance.now() - startedAt };
    terminal.out(`${JSON.stringify(combinedDocument(file, ending))}\n`);
  }
  if (end.failure !== null) throw end.failure;
  return exitCodeOf([...results.values()], end.stopped);
};
