/** Follows a source's changes until it is told to stop; tells where it is as it goes. */
import { openDestination, openSource } from '../../connectors/registry.ts';
import { ForebayError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { PipelineSpec, RunEvent } from '../../engine/pipeline.ts';
import { runPipeline } from '../../engine/run.ts';
import { putCheckpoint } from '../../metadata/checkpoints.ts';
import { findExecution, updateRunningExecution } from '../../metadata/executions.ts';
import { scopeOf } from '../../metadata/scope.ts';
import { timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { Control, ExecutionRef, FlowActivities, Resync } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import { ExecutionLog } from './execution-log.ts';
import { engineName } from './extract.ts';
import { alive } from './layer-step.ts';
import { LetterWatch, thenLookAtLetters } from './letter-watch.ts';
import { type PipelineConfig, selectionOf } from './pipeline-config.ts';

const MIB = 1024 * 1024;
const LOOK_MS = 1000;
const SHOW_MS = 2000;
/** The position of the pipeline as a whole. */
const WHOLE = '*';

function specOf(setup: PipelineSetup, resync: readonly Resync[]): PipelineSpec {
  const { pipeline, config } = setup;
  return {
    name: engineName('follow', pipeline.id),
    selection: selectionOf(config),
    targetNamespace: config.schema ?? null,
    targetTable: null,
    load: config.load,
    deletes: config.deletes,
    schemaChanges: config.schema_changes,
    batchRows: 20_000,
    batchMs: 200,
    memoryBytes: 256 * MIB,
    parallel: null,
    errorBudget: 1000,
    retry: retryOfRun(config),
    awaitSystems: true,
    exclusive: true,
    begins: 'snapshot',
    resync,
  };
}

/** Lost connections are waited for inside of the step, where what was read stays; the flow counts what is left. */
function retryOfRun({ retry_policy: policy }: PipelineConfig): PipelineSpec['retry'] {
  return {
    initialDelayMs: policy?.initial_delay_ms ?? 1000,
    maxDelayMs: policy?.max_delay_ms ?? 60_000,
    multiplier: policy?.backoff_multiplier ?? 2,
    giveUpAfterMs: null,
    maxAttempts: policy?.max_attempts ?? null,
    permanentCodes: policy?.permanent_error_codes ?? [],
  };
}

class Watch {
  readonly #deps: ActivityDeps;
  readonly #ref: ExecutionRef;
  readonly #letters: LetterWatch;
  readonly told = new AbortController();
  #position: string | null = null;
  #shown: string | null = null;
  #shownAt = 0;
  #rows = 0;

  constructor(deps: ActivityDeps, ref: ExecutionRef, letters: LetterWatch) {
    this.#deps = deps;
    this.#ref = ref;
    this.#letters = letters;
  }

  event(event: RunEvent): void {
    if (event.event === 'checkpoint') this.#position = event.position;
    else if (event.event === 'progress' && event.stream === null) this.#rows = event.rows;
  }

  /** Looks until the signal aborts. What the metadata do not answer is asked again. */
  async look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#once().catch((error: unknown) => {
        if (!(error instanceof Error)) throw error;
      });
      this.#letters.look();
      await pause(LOOK_MS, signal);
    }
  }

  async #once(): Promise<void> {
    const { organizationId, pipelineId, executionId } = this.#ref;
    const scope = scopeOf(organizationId);
    const { db } = this.#deps.metadata;
    const execution = await findExecution(db, scope, executionId);
    if (execution === null || execution.status !== 'running' || execution.control !== null)
      this.told.abort(new ForebayError('interrupted', { message: 'told to stop' }));
    const position = this.#position;
    if (position === null || position === this.#shown || Date.now() - this.#shownAt < SHOW_MS)
      return;
    this.#shown = position;
    this.#shownAt = Date.now();
    const changes = { records_processed: this.#rows };
    await updateRunningExecution(db, scope, { id: executionId, changes });
    await putCheckpoint(db, scope, {
      pipeline_id: pipelineId,
      stream: WHOLE,
      position,
      checksum: null,
      events: this.#rows,
      committed_at: timeOf(),
    });
  }
}

export async function replicate(
  deps: ActivityDeps,
  input: Parameters<FlowActivities['replicate']>[0],
  context: ActivityContext,
): ReturnType<FlowActivities['replicate']> {
  const { resync = [], ...ref } = input;
  const setup = await loadPipeline(deps, ref);
  const { source, destination } = setup;
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  const work = { deps, ref, setup, layer: null, log, signal: context.signal } as const;
  const letters = new LetterWatch(work);
  const watch = new Watch(deps, ref, letters);
  const over = new AbortController();
  const drain = AbortSignal.any([context.signal, watch.told.signal]);
  const looking = watch.look(over.signal);
  const systems = {
    openSource: (given: Parameters<typeof openSource>[1]) => openSource(source, given),
    openDestination: (given: Parameters<typeof openDestination>[1]) =>
      openDestination(destination, given),
    sameSystem: source.address.identity === destination.address.identity,
    options: {},
  };
  const observe = (event: RunEvent): void => {
    watch.event(event);
    log.event(event);
  };
  try {
    const mode = { kind: 'replicate', untilCaughtUp: false } as const;
    const result = await alive(context, () =>
      withSystem(deps, destination, turnOf(ref, setup, { log, signal: drain }), () =>
        thenLookAtLetters(work, () =>
          runPipeline(mode, specOf(setup, resync), systems, {
            drain,
            observe,
            meter: letters.meter,
          }),
        ),
      ),
    );
    context.signal.throwIfAborted();
    if (result.error !== null) {
      const { code, message, fix, stream } = result.error;
      throw new ForebayError(code, { message, fix, ...(stream === null ? {} : { stream }) });
    }
    if (!watch.told.signal.aborted) return { ended: 'completed' };
    await forgetControl(deps, ref);
    return { ended: 'told', begun: result.begun };
  } finally {
    over.abort();
    await looking;
    await letters.end();
  }
}

async function forgetControl(deps: ActivityDeps, ref: ExecutionRef): Promise<void> {
  const update = { id: ref.executionId, changes: { control: null } };
  await updateRunningExecution(deps.metadata.db, scopeOf(ref.organizationId), update);
}

export async function tellReplication(
  deps: ActivityDeps,
  input: ExecutionRef & { readonly control: Control },
): Promise<null> {
  const { organizationId, executionId, control } = input;
  const update = { id: executionId, changes: { control } };
  await updateRunningExecution(deps.metadata.db, scopeOf(organizationId), update);
  return null;
}
