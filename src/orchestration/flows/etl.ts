/** Executions that go through layers: ingestion (bronze), sync (bronze, silver), ETL (bronze, silver, gold). */
import { ForebayError } from '../../core/errors.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { ExecutionRef, FlowActivities, LayerName, TriggerParameters } from './activities.ts';
import { endFailed, retried } from './execution-steps.ts';

export type EtlInput = ExecutionRef & { readonly parameters: TriggerParameters };
export type EtlOutput = { readonly layers: readonly LayerName[] };

type Ctx = FlowContext<FlowActivities>;

async function throughLayers(
  ctx: Ctx,
  input: EtlInput,
  shape: { readonly connects: boolean; readonly most: readonly LayerName[] },
): Promise<EtlOutput> {
  const { parameters, ...ref } = input;
  let at: LayerName | null = null;
  try {
    const plan = await retried(ctx, { ref, retry: null, layer: null }, 'beginExecution', ref);
    const { retry } = plan;
    if (shape.connects) await retried(ctx, { ref, retry, layer: null }, 'connect', ref);
    const layers = plan.layers.filter((layer) => shape.most.includes(layer));
    for (const layer of layers) {
      at = layer;
      const step = { ref, retry, layer };
      if (layer === 'bronze') await retried(ctx, step, layer, { ...ref, parameters });
      else await retried(ctx, step, layer, ref);
    }
    await retried(ctx, { ref, retry, layer: null }, 'endExecution', {
      ...ref,
      status: 'completed',
      layer: null,
      error: null,
      output: { layers: [...layers] },
    });
    return { layers };
  } catch (error) {
    await endFailed(ctx, { ref, layer: at }, error);
    throw error instanceof ForebayError
      ? error
      : new ForebayError('internal', { message: String(error) });
  }
}

export const ETLWorkflow: Flow<FlowActivities, EtlInput, EtlOutput> = (ctx, input) =>
  throughLayers(ctx, input, { connects: false, most: ['bronze', 'silver', 'gold'] });

export const DataSourceSyncWorkflow: Flow<FlowActivities, EtlInput, EtlOutput> = (ctx, input) =>
  throughLayers(ctx, input, { connects: true, most: ['bronze', 'silver'] });

export const DataIngestionWorkflow: Flow<FlowActivities, EtlInput, EtlOutput> = (ctx, input) =>
  throughLayers(ctx, input, { connects: false, most: ['bronze'] });
