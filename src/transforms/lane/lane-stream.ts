/** One stream of the lane: the shape of its table now, and how it changes. */
import type { EvolutionStep, StreamTarget } from '../../core/connector.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { adopt, initialShape, type LaneRules, type ProbedFields, sameSource } from './adopt.ts';
import type { Growth, ShapeChange } from './growth.ts';
import { type LaneProjection, projectionOf } from './lane-projection.ts';
import { type LaneShape, laneTarget } from './lane-shape.ts';
import { LoadGate } from './load-gate.ts';
import { type LaneOptions, NAME_SEPARATOR } from './options.ts';
import { probeOf } from './probe.ts';
import { type Binding, bind } from './render.ts';
import { runDocuments } from './settle.ts';

function rulesOf(options: LaneOptions): LaneRules {
  return { transformation: options.id, separator: options.flatten ?? NAME_SEPARATOR };
}

async function probe(target: StreamTarget, options: LaneOptions): Promise<ProbedFields> {
  const { json, fieldsOf } = probeOf(target.schema);
  const runner = options.probe ?? options.runner;
  const [outcome] = await runDocuments({ ...options, runner }, [json]);
  return outcome === undefined ? null : fieldsOf(outcome, options.flatten !== null);
}

export async function beginShape(target: StreamTarget, options: LaneOptions): Promise<LaneShape> {
  return initialShape(target, await probe(target, options), rulesOf(options));
}

export class LaneStream {
  readonly gate = new LoadGate();
  readonly #options: LaneOptions;
  readonly #leftOut = new Set<string>();
  #binding: Binding;
  #before: Binding | null = null;
  #target: StreamTarget;

  constructor(shape: LaneShape, options: LaneOptions) {
    this.#options = options;
    this.#binding = bind(shape);
    this.#target = laneTarget(shape);
  }

  get binding(): Binding {
    return this.#binding;
  }

  get shape(): LaneShape {
    return this.#binding.shape;
  }

  /** The stream as the destination sees it. */
  get target(): StreamTarget {
    return this.#target;
  }

  /** The table is still in line with an earlier transformation. */
  get isBehind(): boolean {
    return this.shape.transformation !== this.#options.id;
  }

  /** True if the shape has changed since the last commit. */
  get isDirty(): boolean {
    return this.#before !== null;
  }

  committed(): void {
    this.#before = null;
  }

  rolledBack(): void {
    if (this.#before !== null) this.#bind(this.#before);
    this.#before = null;
  }

  /** Follows the source's table, where that is another by now, and the transformation. */
  async follow(
    target: StreamTarget,
    steps: readonly EvolutionStep[] = [],
  ): Promise<readonly EvolutionStep[]> {
    const { shape } = this;
    const known = sameSource(shape.source.schema, target.schema);
    if (known && shape.transformation === this.#options.id) {
      if (shape.source !== target) this.#bind(bind({ ...shape, source: target }));
      return [];
    }
    const fields = await probe(target, this.#options);
    const change = adopt(shape, target, { fields, steps }, rulesOf(this.#options));
    // Of the transformation alone: nobody has agreed to that yet.
    if (!known || change.steps.length === 0 || this.#agrees(change)) return this.#take(change);
    this.#change(bind({ ...shape, transformation: this.#options.id, source: target }));
    return [];
  }

  /** The table is made anew, so it has what comes now. */
  async restart(target: StreamTarget): Promise<void> {
    const { version } = this.shape;
    const shape = await beginShape(target, this.#options);
    this.#change(bind({ ...shape, version: version + 1 }));
  }

  /** What the documents need. Fails with `schema_change` where nothing may change. */
  grow(growth: Growth): readonly EvolutionStep[] {
    const change = growth.apply(this.shape, rulesOf(this.#options).separator);
    if (change.steps.length === 0) return [];
    return this.#agrees(change) ? this.#take(change) : [];
  }

  /** How the source would make the rows itself, as long as its columns are these. */
  projection(target: StreamTarget): LaneProjection {
    const { shape } = this;
    const { pushDown } = this.#options;
    if (pushDown === undefined) return { kind: 'rows', why: 'it is computed here' };
    if (this.isBehind || !sameSource(shape.source.schema, target.schema))
      return { kind: 'rows', why: 'the table is not in line with it yet' };
    return projectionOf(shape, this.#target.schema, pushDown(target.schema));
  }

  /** Told once per field. */
  leaveOut(path: readonly string[]): void {
    const field = path.join('.');
    if (this.#leftOut.has(field)) return;
    this.#leftOut.add(field);
    this.#options.context.notice('field_left_out', { stream: this.#target.id, field });
  }

  #agrees(change: ShapeChange): boolean {
    const { id } = this.#target;
    switch (this.#options.schemaChanges) {
      case 'evolve':
        return true;
      case 'ignore':
        return false;
      case 'pause':
        throw new ForebayError('schema_change', {
          message: `the transformation changes what columns ${id} has`,
          why: change.changes.join('; '),
          stream: id,
        });
    }
  }

  #take(change: ShapeChange): readonly EvolutionStep[] {
    const { context } = this.#options;
    for (const text of change.changes)
      context.notice('transformed_table', { stream: this.#target.id, change: text });
    this.#change(bind(change.shape));
    return change.steps;
  }

  #change(binding: Binding): void {
    this.#before ??= this.#binding;
    this.#bind(binding);
  }

  #bind(binding: Binding): void {
    this.#binding = binding;
    this.#target = laneTarget(binding.shape);
  }
}

/** What keeps one stream from being transformed is told when it is its turn. */
export function failureOf(error: unknown): ForebayError {
  const failure = asForebayError(error);
  if (failure.class !== 'schema' && failure.class !== 'data') throw failure;
  return failure;
}
