/** A stream's transformation from the configuration file, between its rows and its destination. */
import { createHash } from 'node:crypto';
import type { ConnectorContext, Destination } from '../core/connector.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { TransformSource } from '../transforms/build-transform.ts';
import { type PushDown, pushDown } from '../transforms/custom/push-down.ts';
import { customSource } from '../transforms/custom-source.ts';
import { transformDestination } from '../transforms/lane/lane-destination.ts';
import type { DocumentRunner, LaneErrors } from '../transforms/lane/options.ts';
import { openTransformRunner, type TransformRunner } from '../transforms/runner.ts';
import type { ResolvedTransformation } from './configuration/resolve.ts';
import type { LetterSink } from './letter-sink.ts';

export interface StreamTransformation {
  readonly resolved: ResolvedTransformation;
  readonly flatten: string | null;
  readonly schemaChanges: 'evolve' | 'pause' | 'ignore';
  /** Relative paths start there. */
  readonly folder: string;
  /** Null: the destination's own dead letters. */
  readonly openLetters: ((context: ConnectorContext) => Promise<LetterSink>) | null;
  /** Documents that go in, less those that have come out. */
  readonly moving: (change: number) => void;
}

type Plain = Readonly<Record<string, unknown>>;

function sourceOf({ resolved, folder }: StreamTransformation): TransformSource {
  if (resolved.type === 'custom') return customSource(resolved.specification, folder);
  const { spec, mode, dialect } = resolved.specification;
  return {
    kind: 'kazaam',
    spec,
    mode: mode === 'strict' ? 'strict' : 'compat',
    dialect: dialect === 'extended' ? 'extended' : 'kazaam',
  };
}

function withoutFilter({ filter: _filter, ...rest }: Plain): Plain {
  return rest;
}

/** The same without filters, which a made-up row would not get through; null where there is none. */
function unfiltered(source: TransformSource): TransformSource | null {
  if (source.kind !== 'custom') return null;
  const specification = source.specification as Plain & { readonly steps?: readonly Plain[] };
  const { steps } = specification;
  const filters = [specification, ...(steps ?? [])].some((part) => 'filter' in part);
  if (!filters) return null;
  if (steps === undefined) return { kind: 'custom', specification: withoutFilter(specification) };
  // A step that does nothing but filter would be an empty one.
  const others = steps.map(withoutFilter).filter((step) => Object.keys(step).length > 0);
  return { kind: 'custom', specification: { steps: others } };
}

/** What does nothing any more is no specification. */
function isEmpty(source: TransformSource): boolean {
  if (source.kind !== 'custom') return false;
  const specification = source.specification as Plain & { readonly steps?: readonly Plain[] };
  return Object.keys(specification).length === 0 || specification.steps?.length === 0;
}

function pushDownOf(source: TransformSource): (schema: StreamSchema) => PushDown {
  if (source.kind === 'custom') return (schema) => pushDown(source.specification, schema);
  return () => ({ kind: 'kept', why: 'a Kazaam specification runs here' });
}

const AS_IT_IS: DocumentRunner = {
  run: async (documents) => documents.map((json) => ({ kind: 'document', json })),
};

function errorsOf({ errors }: ResolvedTransformation): LaneErrors {
  const { on_error: action, dead_letter_destination: letters } = errors;
  if (action !== 'retry') return { lastResort: action, maxRetries: 0, retryDelayMs: 0 };
  return {
    lastResort: letters === undefined ? 'fail_stream' : 'dead_letter',
    maxRetries: errors.max_retries,
    retryDelayMs: errors.retry_delay.ms,
  };
}

function metered(runner: TransformRunner, moving: (change: number) => void): DocumentRunner {
  return {
    run: async (documents, signal) => {
      moving(documents.length);
      try {
        return await runner.run(documents, signal);
      } finally {
        moving(-documents.length);
      }
    },
  };
}

/** Changes with everything that decides what a document becomes. */
function identityOf({ resolved, flatten }: StreamTransformation): string {
  const facts = JSON.stringify([resolved.type, resolved.specification, flatten]);
  const hash = createHash('sha256').update(facts).digest('hex').slice(0, 12);
  return `${resolved.id}:${hash}`;
}

/** Ends its helpers with itself. */
function owning(destination: Destination, helpers: readonly AsyncDisposable[]): Destination {
  const dispose = destination[Symbol.asyncDispose].bind(destination);
  destination[Symbol.asyncDispose] = async () => {
    await dispose();
    for (const helper of helpers) await helper[Symbol.asyncDispose]();
  };
  return destination;
}

export async function openTransformed(
  transformation: StreamTransformation,
  context: ConnectorContext,
  open: () => Promise<Destination>,
): Promise<Destination> {
  const source = sourceOf(transformation);
  const { signal } = context;
  const helpers: AsyncDisposable[] = [];
  try {
    const runner = await openTransformRunner({ transform: source, signal });
    helpers.push(runner);
    const probing = unfiltered(source);
    let probe: DocumentRunner | null = null;
    if (probing !== null && isEmpty(probing)) probe = AS_IT_IS;
    else if (probing !== null) {
      const opened = await openTransformRunner({ transform: probing, signal });
      helpers.push(opened);
      probe = opened;
    }
    const letters = (await transformation.openLetters?.(context)) ?? null;
    if (letters !== null) helpers.push(letters);
    const destination = transformDestination(await open(), {
      id: identityOf(transformation),
      runner: metered(runner, transformation.moving),
      ...(probe === null ? {} : { probe }),
      pushDown: pushDownOf(source),
      flatten: transformation.flatten,
      onError: errorsOf(transformation.resolved),
      schemaChanges: transformation.schemaChanges,
      ...(letters === null ? {} : { divert: (target, rows) => letters.write(target.id, rows) }),
      context,
    });
    return owning(destination, helpers);
  } catch (error) {
    for (const helper of helpers) await helper[Symbol.asyncDispose]();
    throw error;
  }
}
