/** Documents to what shall be; every mistake is told with its place. Pure but for the variables and files referred to. */
import { z } from 'zod';
import { RequestError } from '../../api/problem.ts';
import { readPart } from '../../api/read-request.ts';
import {
  connectorConfiguration,
  connectorTypeInput,
  connectorTypeOf,
  doubledFields,
  missingFields,
} from '../../api/schemas/connectors.ts';
import { name as nameSchema } from '../../api/schemas/fields.ts';
import { type PipelineInput, pipelineInput } from '../../api/schemas/pipelines.ts';
import { scheduleFault } from '../../api/schemas/schedules.ts';
import { nearest } from '../../connectors/nearest.ts';
import type { Path, Problem, Rule } from '../../service/configuration/problem.ts';
import { type FieldFault, readConnectionFields, surroundingsOf } from './connection-fields.ts';
import type { Desired, DesiredConnection, DesiredPipeline, Live } from './desired.ts';
import type { AppliedDocument, ReadFiles } from './documents.ts';

/** Stands where the API has an id and files have a name. */
const SOME_ID = '00000000-0000-4000-8000-000000000000';
const SEE = 'The API reference lists the fields.';

const connectionDocument = z.strictObject({
  kind: z.literal('connection'),
  name: nameSchema,
  connector_type: connectorTypeInput,
  config: z.record(z.string(), z.unknown()).default({}),
});

const someName = z.string().min(1).max(200);
const pipelineDocument = z.strictObject({
  kind: z.literal('pipeline'),
  pipeline_kind: pipelineInput.shape.kind,
  ...pipelineInput.omit({
    kind: true,
    source_connection_id: true,
    destination_connection_id: true,
    benthos_configuration_ids: true,
  }).shape,
  source_connection: someName,
  destination_connection: someName,
  benthos_configurations: z.array(someName).max(100).default([]),
  is_active: z.boolean().optional(),
});

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON Pointer as the path that it stands for in the value. */
function pathOf(pointer: string, value: unknown): Path {
  const path: (string | number)[] = [];
  let at = value;
  for (const escaped of pointer.split('/').slice(1)) {
    const part = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) {
      path.push(Number(part));
      at = at[Number(part)] as unknown;
    } else {
      path.push(part);
      at = isObject(at) ? at[part] : undefined;
    }
  }
  return path;
}

type Read<T> =
  | { readonly value: T; readonly problems: readonly [] }
  | { readonly value: null; readonly problems: readonly Problem[] };

const failed = (problems: readonly Problem[]): Read<never> => ({ value: null, problems });

/** With the wording of the API, whose fields these are. */
function parse<S extends z.ZodType>(
  document: AppliedDocument,
  schema: S,
  value: unknown,
  above: readonly string[] = [],
): Read<z.output<S>> {
  try {
    // What a schema read is what the schema says.
    return { value: readPart('body', schema, value, above) as z.output<S>, problems: [] };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const problems = error.fields.map(({ pointer, code, message }) => {
      const rule: Rule = code === 'unrecognized_keys' ? 'unknown-key' : 'type';
      return document.problem(pathOf(pointer, document.value), rule, { message, fix: SEE });
    });
    return failed(problems);
  }
}

const faultProblem = (document: AppliedDocument, { field, message, fix }: FieldFault): Problem =>
  document.problem(['config', field], 'reference', { message, fix });

function readConnection(document: AppliedDocument): Read<DesiredConnection> {
  const { value: read, problems } = parse(document, connectionDocument, document.value);
  if (read === null) return failed(problems);
  const type = connectorTypeOf(read.connector_type);
  const surroundings = surroundingsOf(document.folder);
  const { value: fields, faults } = readConnectionFields(type, read.config, surroundings);
  if (fields === null) return failed(faults.map((fault) => faultProblem(document, fault)));
  const known = parse(document, connectorConfiguration(type).schema, fields.plain, ['config']);
  if (known.value === null) return failed(known.problems);
  const given = new Set([...Object.keys(fields.plain), ...fields.secrets.keys()]);
  const missing = missingFields(type, given).map((field) =>
    document.problem(['config'], 'required', { message: `${field} is missing`, fix: SEE }),
  );
  const doubled = doubledFields(given).map((field) =>
    document.problem(['config', field], 'connection-string', {
      message: 'is said by connection_string already',
      fix: 'Keep one of the two.',
    }),
  );
  if (missing.length + doubled.length > 0) return failed([...missing, ...doubled]);
  const { name } = read;
  return {
    value: {
      name,
      type,
      fields: { ...fields, plain: known.value },
      surroundings,
      file: document.file,
    },
    problems: [],
  };
}

function scheduleProblems(document: AppliedDocument, input: PipelineInput): readonly Problem[] {
  const fault = scheduleFault(input);
  if (fault === null) return [];
  const { field, message } = fault;
  const fix = 'Write five or six cron fields, a known time zone, or an interval in seconds.';
  return [document.problem([field], 'format', { message, fix })];
}

function readPipeline(document: AppliedDocument): Read<DesiredPipeline> {
  const { value: read, problems } = parse(document, pipelineDocument, document.value);
  if (read === null) return failed(problems);
  const {
    kind: _,
    pipeline_kind: kind,
    source_connection: source,
    destination_connection: destination,
    benthos_configurations: benthos,
    is_active: isActive,
    ...rest
  } = read;
  const input: PipelineInput = {
    ...rest,
    kind,
    source_connection_id: SOME_ID,
    destination_connection_id: SOME_ID,
    is_active: isActive ?? true,
  };
  const faults = scheduleProblems(document, input);
  if (faults.length > 0) return failed(faults);
  const saysActive = isActive !== undefined;
  return {
    value: { name: read.name, source, destination, benthos, input, saysActive },
    problems: [],
  };
}

interface Stood<T> {
  readonly document: AppliedDocument;
  readonly value: T;
}

/** Each name once: two documents of one thing would contradict each other. */
function doubledNames(stood: readonly Stood<{ readonly name: string }>[]): readonly Problem[] {
  const first = new Map<string, string>();
  return stood.flatMap(({ document, value: { name } }) => {
    const before = first.get(name);
    first.set(name, before ?? document.file);
    if (before === undefined) return [];
    const message = `the name ${JSON.stringify(name)} is given in ${before} already`;
    return [document.problem(['name'], 'unique-id', { message, fix: 'Keep one of the two.' })];
  });
}

interface Known {
  readonly connections: readonly string[];
  readonly benthos: readonly string[];
  /** On the server, and not in the files. */
  readonly pruned: ReadonlySet<string>;
}

function referenceProblems(
  { document, value }: Stood<DesiredPipeline>,
  known: Known,
): readonly Problem[] {
  const unknown = (path: Path, name: string, names: readonly string[]): readonly Problem[] => {
    const meant = nearest(name, names);
    const fix =
      meant === null ? 'Name one of the files or of the server.' : `Did you mean ${meant}?`;
    const message = `there is no ${JSON.stringify(name)}`;
    return [document.problem(path, 'known-id', { message, fix })];
  };
  const connection = (field: string, name: string): readonly Problem[] => {
    if (known.pruned.has(name)) {
      const message = `the connection ${JSON.stringify(name)} would be deleted: no file names it`;
      const fix = 'Add a file for it (`forebay export` writes one), or leave --prune out.';
      return [document.problem([field], 'known-id', { message, fix })];
    }
    const { connections } = known;
    return connections.includes(name) ? [] : unknown([field], name, connections);
  };
  return [
    ...connection('source_connection', value.source),
    ...connection('destination_connection', value.destination),
    ...value.benthos.flatMap((name, index) =>
      known.benthos.includes(name)
        ? []
        : unknown(['benthos_configurations', index], name, known.benthos),
    ),
  ];
}

function kindProblem(document: AppliedDocument): Problem {
  const message = 'kind must be connection or pipeline';
  const fix = 'Begin the document with kind: connection or kind: pipeline.';
  const path = isObject(document.value) ? ['kind'] : [];
  return document.problem(path, 'one-of', { message, fix });
}

function standing<T>(
  documents: readonly AppliedDocument[],
  read: (document: AppliedDocument) => Read<T>,
): { readonly stood: readonly Stood<T>[]; readonly problems: readonly Problem[] } {
  const all = documents.map((document) => ({ document, ...read(document) }));
  return {
    stood: all.flatMap(({ document, value }) => (value === null ? [] : [{ document, value }])),
    problems: all.flatMap(({ problems }) => problems),
  };
}

export interface DesiredState {
  readonly desired: Desired;
  readonly problems: readonly Problem[];
}

export function readDesired(files: ReadFiles, live: Live, prune: boolean): DesiredState {
  const kindOf = ({ value }: AppliedDocument): unknown => (isObject(value) ? value['kind'] : null);
  const of = (kind: string) => files.documents.filter((document) => kindOf(document) === kind);
  const connections = standing(of('connection'), readConnection);
  const pipelines = standing(of('pipeline'), readPipeline);
  const others = files.documents.filter(
    (document) => kindOf(document) !== 'connection' && kindOf(document) !== 'pipeline',
  );
  // Also of those that cannot be read: what refers to them is no mistake of its own.
  const written = of('connection').flatMap(({ value }) =>
    isObject(value) && typeof value['name'] === 'string' ? [value['name'].trim()] : [],
  );
  const there = live.connections.map(({ name }) => name);
  const known: Known = {
    connections: [...written, ...there],
    benthos: live.benthos.map(({ name }) => name),
    pruned: new Set(prune ? there.filter((name) => !written.includes(name)) : []),
  };
  const problems = [
    ...files.problems,
    ...others.map(kindProblem),
    ...connections.problems,
    ...pipelines.problems,
    ...doubledNames(connections.stood),
    ...doubledNames(pipelines.stood),
    ...pipelines.stood.flatMap((stood) => referenceProblems(stood, known)),
  ];
  const desired = {
    connections: connections.stood.map(({ value }) => value),
    pipelines: pipelines.stood.map(({ value }) => value),
  };
  return { desired, problems };
}
