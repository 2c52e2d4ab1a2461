/** What would keep a pipeline from beginning is found before anything of it is written. */
import type { Destination, Source } from '../core/connector.ts';
import { needChanges, needSnapshot } from './attempt.ts';
import type { PipelineSpec, RunMode } from './pipeline.ts';
import { checkSource, lacksKey } from './start.ts';
import {
  assertDistinct,
  assertLoadable,
  nothingSelected,
  selectStreams,
  targetFor,
} from './targets.ts';

export interface Rehearsal {
  readonly mode: RunMode;
  readonly spec: PipelineSpec;
  readonly source: Source;
  readonly destination: Destination;
  readonly sameSystem: boolean;
}

/** Looks at both sides as the start of a run will; a pipeline that has begun already is left to the run. */
export async function rehearse(rehearsal: Rehearsal): Promise<void> {
  const { mode, spec, source, destination } = rehearsal;
  if (mode.kind === 'recover' || (await destination.readState(spec.name)) !== null) return;
  if (mode.kind === 'copy') needSnapshot(source);
  else needChanges(source);
  const catalog = await source.discover();
  const selected = selectStreams(catalog, spec.selection);
  if (selected.length === 0) throw nothingSelected(catalog, spec.selection);
  const targets = selected.map((entry) => targetFor(spec, entry.schema));
  assertDistinct(targets, rehearsal.sameSystem);
  const followed = targets.filter((target) => !lacksKey({ mode }, { target }));
  await checkSource({ mode, source }, followed);
  for (const target of followed) assertLoadable(target, await destination.plan(target));
}
