/** What it takes to make a server as files say. Pure. */
import { pipelineInput } from '../../api/schemas/pipelines.ts';
import type { Connection, Pipeline } from '../client/find.ts';
import type { Desired, DesiredConnection, DesiredPipeline, Live } from './desired.ts';

/** A field that differs; of a secret it is told only whether there is one. */
export interface FieldChange {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

interface Named {
  readonly name: string;
}

interface Change<Wanted, Row> {
  readonly create: { readonly action: 'create'; readonly wanted: Wanted };
  readonly update: {
    readonly action: 'update';
    readonly wanted: Wanted;
    readonly row: Row;
    readonly fields: readonly FieldChange[];
  };
  readonly remove: { readonly action: 'delete'; readonly row: Row };
  readonly keep: { readonly action: 'unchanged'; readonly row: Row };
}

type Step<Kind, Wanted, Row> = Named & { readonly kind: Kind } & Change<Wanted, Row>[keyof Change<
    Wanted,
    Row
  >];
export type ConnectionStep = Step<'connection', DesiredConnection, Connection>;
export type PipelineStep = Step<'pipeline', DesiredPipeline, Pipeline>;
export type PlanStep = ConnectionStep | PipelineStep;

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([key, member]) => [key, canonical(member)]));
}

const isSame = (left: unknown, right: unknown): boolean =>
  JSON.stringify(canonical(left)) === JSON.stringify(canonical(right));

type Content = Readonly<Record<string, unknown>>;

/** Null and left out are the same. */
function differences(before: Content, after: Content, prefix = ''): readonly FieldChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names
    .map((name) => ({
      field: `${prefix}${name}`,
      before: before[name] ?? null,
      after: after[name] ?? null,
    }))
    .filter((change) => !isSame(change.before, change.after));
}

const SECRET = '(secret)';

export interface PlanOptions {
  /** Deletes what the files do not name. */
  readonly prune: boolean;
  /** Sends the secrets of the files again: whether they differ, no server tells. */
  readonly secretsAgain: boolean;
}

function secretChanges(
  wanted: DesiredConnection,
  row: Connection,
  again: boolean,
): readonly FieldChange[] {
  const stored = storedSecrets(row);
  const { secrets } = wanted.fields;
  const sent = [...secrets].filter(([name, template]) => {
    return template !== null && (again || !stored.has(name));
  });
  const added = sent.map(([name]) => ({
    field: `config.${name}`,
    before: stored.has(name) ? SECRET : null,
    after: SECRET,
  }));
  const removed = [...stored]
    .filter((name) => !secrets.has(name))
    .map((name) => ({ field: `config.${name}`, before: SECRET, after: null }));
  return [...added, ...removed];
}

/** Names of the secrets that the server keeps of a connection. */
export function storedSecrets({ config }: Connection): ReadonlySet<string> {
  return new Set(Object.keys(config).filter((name) => config[name] === null));
}

function connectionStep(
  wanted: DesiredConnection,
  row: Connection | undefined,
  { secretsAgain }: PlanOptions,
): ConnectionStep {
  const { name } = wanted;
  const kind = 'connection';
  if (row === undefined) return { kind, name, action: 'create', wanted };
  const stored = storedSecrets(row);
  const shown = Object.fromEntries(Object.entries(row.config).filter(([key]) => !stored.has(key)));
  const fields = [
    ...differences({ connector_type: row.connector_type }, { connector_type: wanted.type }),
    ...differences(shown, wanted.fields.plain, 'config.'),
    ...secretChanges(wanted, row, secretsAgain),
  ].toSorted((left, right) => (left.field < right.field ? -1 : 1));
  return fields.length === 0
    ? { kind, name, action: 'unchanged', row }
    : { kind, name, action: 'update', wanted, row, fields };
}

export interface Names {
  /** Names of connections by their ids. */
  readonly connections: ReadonlyMap<string, string>;
  readonly benthos: ReadonlyMap<string, string>;
}

const nameOf = (names: ReadonlyMap<string, string>, id: string): string => names.get(id) ?? id;

/** `{stream}` alone says what the name alone says. */
function plainStream(selection: unknown): unknown {
  if (typeof selection !== 'object' || selection === null) return selection;
  const { stream, ...rest } = selection as { readonly stream?: unknown };
  return Object.values(rest).every((value) => value === undefined) ? stream : selection;
}

/** What can be written of a pipeline, with names where the API has ids; what is not set is left out. */
export function pipelineContent(row: Pipeline, names: Names): Record<string, unknown> {
  const known = Object.keys(pipelineInput.shape);
  const written = Object.entries(row).filter(
    ([key, value]) => known.includes(key) && value != null,
  );
  const {
    source_connection_id: _,
    destination_connection_id: __,
    benthos_configuration_ids: ___,
    name,
    kind,
    streams,
    ...rest
  } = Object.fromEntries(written);
  const benthos = row.benthos_configuration_ids.map((id) => nameOf(names.benthos, id));
  return {
    name,
    kind,
    source_connection: nameOf(names.connections, row.source_connection_id),
    destination_connection: nameOf(names.connections, row.destination_connection_id),
    streams: Array.isArray(streams) ? streams.map(plainStream) : streams,
    ...rest,
    ...(benthos.length === 0 ? {} : { benthos_configurations: benthos }),
  };
}

function wantedContent(wanted: DesiredPipeline, row: Pipeline): Record<string, unknown> {
  const {
    source_connection_id: _,
    destination_connection_id: __,
    benthos_configuration_ids: ___,
    streams,
    ...rest
  } = wanted.input;
  return {
    ...rest,
    streams: streams.map(plainStream),
    source_connection: wanted.source,
    destination_connection: wanted.destination,
    ...(wanted.benthos.length === 0 ? {} : { benthos_configurations: wanted.benthos }),
    ...(wanted.saysActive ? {} : { is_active: row.is_active }),
  };
}

function pipelineStep(
  wanted: DesiredPipeline,
  row: Pipeline | undefined,
  names: Names,
): PipelineStep {
  const { name } = wanted;
  const kind = 'pipeline';
  if (row === undefined) return { kind, name, action: 'create', wanted };
  const fields = differences(pipelineContent(row, names), wantedContent(wanted, row));
  return fields.length === 0
    ? { kind, name, action: 'unchanged', row }
    : { kind, name, action: 'update', wanted, row, fields };
}

export function namesOf({ connections, benthos }: Live): Names {
  const byId = (rows: readonly (Named & { readonly id: string })[]) =>
    new Map(rows.map(({ id, name }) => [id, name]));
  return { connections: byId(connections), benthos: byId(benthos) };
}

const byName = (left: Named, right: Named): number => (left.name < right.name ? -1 : 1);

function unnamed<Row extends Named>(
  rows: readonly Row[],
  wanted: readonly Named[],
): readonly Row[] {
  const names = new Set(wanted.map(({ name }) => name));
  return rows.filter(({ name }) => !names.has(name)).toSorted(byName);
}

/** In the order in which they are done: what others need first, and removed last. */
export function planChanges(
  desired: Desired,
  live: Live,
  options: PlanOptions,
): readonly PlanStep[] {
  const names = namesOf(live);
  const connections = desired.connections
    .toSorted(byName)
    .map((wanted) => connectionStep(wanted, find(live.connections, wanted), options));
  const pipelines = desired.pipelines
    .toSorted(byName)
    .map((wanted) => pipelineStep(wanted, find(live.pipelines, wanted), names));
  if (!options.prune) return [...connections, ...pipelines];
  const gonePipelines = unnamed(live.pipelines, desired.pipelines).map((row): PipelineStep => ({
    kind: 'pipeline',
    name: row.name,
    action: 'delete',
    row,
  }));
  const goneConnections = unnamed(live.connections, desired.connections).map(
    (row): ConnectionStep => ({ kind: 'connection', name: row.name, action: 'delete', row }),
  );
  return [...connections, ...pipelines, ...gonePipelines, ...goneConnections];
}

function find<Row extends Named>(rows: readonly Row[], { name }: Named): Row | undefined {
  return rows.find((row) => row.name === name);
}
