/** Makes a server as a plan says, step by step. */
import { connectionSchema } from '../../api/schemas/connections.ts';
import type { KeptPart, PipelineInput } from '../../api/schemas/pipelines.ts';
import { pipelineSchema } from '../../api/schemas/pipelines.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { deletePipeline } from '../client/delete-pipeline.ts';
import { type Connection, PATHS, type Pipeline } from '../client/find.ts';
import { throwAll } from '../failure.ts';
import type { ConnectionStep, PipelineStep, PlanStep } from './change-plan.ts';
import { storedSecrets } from './change-plan.ts';
import { fillSecret } from './connection-fields.ts';
import type { DesiredConnection, DesiredPipeline, Live } from './desired.ts';

/** Secrets by connection and field, as they are sent. */
export type Secrets = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** All that will be sent, before anything is: a variable that is missing leaves the server as it was. */
export function resolveSecrets(steps: readonly PlanStep[]): Secrets {
  const errors: ForebayError[] = [];
  const resolved = new Map<string, Record<string, string>>();
  for (const step of steps) {
    if (step.kind !== 'connection' || !('wanted' in step)) continue;
    const { wanted } = step;
    const sent = step.action === 'create' ? null : new Set(step.fields.map(({ field }) => field));
    const values: Record<string, string> = {};
    for (const [field, template] of wanted.fields.secrets) {
      if (template === null || (sent !== null && !sent.has(`config.${field}`))) continue;
      const { value, faults } = fillSecret(field, template, wanted.surroundings);
      if (value !== null) values[field] = value;
      for (const { message, fix } of faults) {
        const where = `${wanted.file}: connection ${wanted.name}, config.${field}`;
        errors.push(new ForebayError('usage', { message: `${where}: ${message}`, fix }));
      }
    }
    resolved.set(step.name, values);
  }
  throwAll(errors);
  return resolved;
}

/** An empty text takes a secret away that the server keeps. */
function connectionBody(
  wanted: DesiredConnection,
  row: Connection | null,
  secrets: Readonly<Record<string, string>>,
): unknown {
  const stored = row === null ? new Set<string>() : storedSecrets(row);
  const gone = [...stored].filter((field) => !wanted.fields.secrets.has(field));
  const config = {
    ...wanted.fields.plain,
    ...Object.fromEntries(gone.map((field) => [field, ''])),
    ...secrets,
  };
  return { name: wanted.name, connector_type: wanted.type, config };
}

/** Told what the systems may still keep of a pipeline that was deleted. */
type Left = (pipeline: string, left: readonly KeptPart[]) => void;

class Ids {
  readonly #connections: Map<string, string>;
  readonly #benthos: ReadonlyMap<string, string>;

  constructor({ connections, benthos }: Live) {
    this.#connections = new Map(connections.map(({ name, id }) => [name, id]));
    this.#benthos = new Map(benthos.map(({ name, id }) => [name, id]));
  }

  made({ name, id }: Connection): void {
    this.#connections.set(name, id);
  }

  body(wanted: DesiredPipeline, row: Pipeline | null): PipelineInput {
    const of = (names: ReadonlyMap<string, string>, name: string): string =>
      names.get(name) ?? name;
    return {
      ...wanted.input,
      source_connection_id: of(this.#connections, wanted.source),
      destination_connection_id: of(this.#connections, wanted.destination),
      benthos_configuration_ids: wanted.benthos.map((name) => of(this.#benthos, name)),
      is_active: row === null || wanted.saysActive ? wanted.input.is_active : row.is_active,
    };
  }
}

async function performConnection(
  api: ApiClient,
  step: ConnectionStep,
  context: { readonly secrets: Secrets; readonly ids: Ids },
): Promise<void> {
  const secrets = context.secrets.get(step.name) ?? {};
  switch (step.action) {
    case 'create': {
      const body = connectionBody(step.wanted, null, secrets);
      context.ids.made(await api.post(connectionSchema, PATHS.connections, body));
      return;
    }
    case 'update': {
      const { row, wanted } = step;
      const body = connectionBody(wanted, row, secrets);
      const path = `${PATHS.connections}/${row.id}`;
      await api.request(connectionSchema, { method: 'PUT', path, body, version: row.version });
      return;
    }
    case 'delete':
      await api.delete(`${PATHS.connections}/${step.row.id}`, step.row.version);
      return;
    case 'unchanged':
      return;
  }
}

interface PipelineContext {
  readonly ids: Ids;
  readonly leave: boolean;
  readonly left: Left;
}

async function performPipeline(
  api: ApiClient,
  step: PipelineStep,
  { ids, leave, left }: PipelineContext,
): Promise<void> {
  switch (step.action) {
    case 'create':
      await api.post(pipelineSchema, PATHS.pipelines, ids.body(step.wanted, null));
      return;
    case 'update': {
      const { row, wanted } = step;
      const path = `${PATHS.pipelines}/${row.id}`;
      const body = ids.body(wanted, row);
      await api.request(pipelineSchema, { method: 'PUT', path, body, version: row.version });
      return;
    }
    case 'delete':
      left(step.name, await deletePipeline(api, step.row, leave));
      return;
    case 'unchanged':
      return;
  }
}

/** Ends at the first step that fails; those before it are done, and the next plan begins after them. */
export async function performPlan(
  api: ApiClient,
  plan: {
    readonly steps: readonly PlanStep[];
    readonly live: Live;
    readonly secrets: Secrets;
    /** Whether pipelines are deleted without asking their systems. */
    readonly leave: boolean;
  },
  tell: { readonly done: (step: PlanStep) => void; readonly left: Left },
): Promise<void> {
  const ids = new Ids(plan.live);
  const { secrets, leave } = plan;
  const { done, left } = tell;
  for (const step of plan.steps) {
    if (step.action === 'unchanged') continue;
    if (step.kind === 'connection') await performConnection(api, step, { secrets, ids });
    else await performPipeline(api, step, { ids, leave, left });
    done(step);
  }
}
