/** What the server is told by its file and its environment; the environment goes first. */
import { Secret } from '../core/secret.ts';
import type { TemporalTls } from '../orchestration/temporal/settings.ts';
import { type DocumentNode, nodeAt, offsetOf, toProblem } from './configuration/document.ts';
import { violationsOf } from './configuration/issues.ts';
import { fieldsAt, jsonSchemaOf } from './configuration/json-schema.ts';
import { readBytes, surroundingsOf } from './configuration/load.ts';
import { prepare } from './configuration/prepare.ts';
import { printPath, printProblem, type Violation } from './configuration/problem.ts';
import { readDocument, type RootWordings } from './configuration/read-document.ts';
import type { Surroundings } from './configuration/references.ts';
import { MAX_FILE_BYTES } from './configuration/text.ts';
import type { EgressPolicy } from './egress.ts';
import { overlay, variableOf } from './server-environment.ts';
import { type ServerFile, serverSchema } from './server-schema.ts';

export type PublisherConfig =
  | {
      readonly type: 'webhook';
      readonly id: string;
      readonly url: string;
      /** The newest first. */
      readonly secrets: readonly Secret[];
    }
  | {
      readonly type: 'openlineage';
      readonly id: string;
      readonly url: string;
      readonly token: Secret | null;
      readonly namespace: string;
    }
  | {
      readonly type: 'nats';
      readonly id: string;
      readonly url: string;
      readonly subject: string;
      readonly user: string | null;
      readonly password: Secret | null;
      readonly token: Secret | null;
    }
  | {
      readonly type: 'kafka';
      readonly id: string;
      readonly brokers: readonly string[];
      readonly topic: string;
      readonly tls: boolean;
      readonly sasl: {
        readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
        readonly username: string;
        readonly password: Secret;
      } | null;
    };

export interface ServerConfig {
  readonly temporal: {
    /** Null: the embedded engine. */
    readonly address: string | null;
    readonly namespace: string;
    readonly taskQueue: string;
    readonly tls: TemporalTls | null;
    readonly apiKey: Secret | null;
  };
  readonly workers: { readonly maxActivities: number; readonly activityTimeoutMs: number };
  readonly retry: {
    readonly maxAttempts: number;
    readonly initialDelayMs: number;
    readonly maxDelayMs: number;
    readonly multiplier: number;
  };
  /** Null: by the address that the API listens on. */
  readonly egress: EgressPolicy | null;
  /** Absolute; null: by the same. */
  readonly fileRoots: readonly string[] | null;
  readonly events: readonly PublisherConfig[];
}

export type TemporalPlace = Omit<ServerConfig['temporal'], 'address'> & {
  readonly address: string;
};

/** Null: flows run in this process. */
export function temporalOf({ temporal }: Pick<ServerConfig, 'temporal'>): TemporalPlace | null {
  const { address } = temporal;
  return address === null ? null : { ...temporal, address };
}

export interface ServerConfigPlace {
  readonly path: string;
  /** Somebody named the file: then it must be there, and be the server's. */
  readonly isNamed: boolean;
}

export type ReadServerConfig =
  | {
      readonly kind: 'read';
      readonly config: ServerConfig;
      /** A file of `forebay run` lay where the server's is looked for. */
      readonly passedOver: boolean;
    }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

const PAGE = 'docs/server.md';
const WORDINGS: RootWordings = {
  empty: { message: 'the file is empty', fix: `${PAGE} shows what it may hold.` },
  noMapping: {
    message: 'the file must hold a mapping of etl, egress, file_roots, events',
    fix: `Write name: value lines; ${PAGE} shows them.`,
  },
};
const EMPTY: DocumentNode = { kind: 'map', offset: 0, entries: new Map() };

type Source =
  | {
      readonly root: DocumentNode;
      readonly locate: (violation: Violation) => string;
      readonly passedOver: boolean;
    }
  | { readonly root: null; readonly problems: readonly string[] };

const nothing = (passedOver: boolean): Source => ({
  root: EMPTY,
  locate: ({ path, message, fix }) => `${printPath(path)}: ${message} — ${fix}`,
  passedOver,
});

function isRunFile(root: DocumentNode): boolean {
  return root.kind === 'map' && root.entries.has('streams');
}

function readSource({ path, isNamed }: ServerConfigPlace): Source {
  const read = readBytes(path, MAX_FILE_BYTES);
  if ('reason' in read) {
    if (!isNamed && read.isAbsent) return nothing(false);
    return { root: null, problems: [`${path}: the file cannot be read: ${read.reason}`] };
  }
  const document = readDocument(path, read.bytes, WORDINGS);
  if (document.root === null) {
    if (document.problems.every(({ rule }) => rule === 'required')) return nothing(false);
    return { root: null, problems: document.problems.map(printProblem) };
  }
  const { root, placeOf } = document;
  if (isRunFile(root)) {
    if (!isNamed) return nothing(true);
    const fix = `Run it with forebay run, and give the server a file of its own: ${PAGE}.`;
    return { root: null, problems: [`${path}: this is a file of forebay run — ${fix}`] };
  }
  return {
    root,
    passedOver: false,
    locate: (violation) =>
      printProblem(toProblem(path, placeOf(offsetOf(root, violation)), violation)),
  };
}

/** Names of publishers are those of their deliveries: two must not be the same. */
function namesOf(events: ServerFile['events']): readonly string[] {
  return events.map(({ id, type }) => id ?? type);
}

function rulesOver(file: ServerFile): Violation[] {
  const { initial_interval: initial, max_interval: max } = file.etl.retry;
  const violations: Violation[] = [];
  if (max.ms < initial.ms)
    violations.push({
      path: ['etl', 'retry', 'max_interval'],
      rule: 'range',
      message: 'is shorter than initial_interval',
      fix: 'Make it as long at least.',
    });
  const { tls } = file.etl.temporal;
  if ((tls?.certificate === undefined) !== (tls?.key === undefined))
    violations.push({
      path: ['etl', 'temporal', 'tls', tls?.key === undefined ? 'key' : 'certificate'],
      rule: 'credentials',
      message: 'certificate and key go together',
      fix: 'Give both, or neither.',
    });
  const names = namesOf(file.events);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    violations.push({
      path: ['events', index, 'id'],
      rule: 'unique-id',
      message: `another publisher is called ${name}`,
      fix: 'Give each an id of its own; left out, it is the type.',
    });
  }
  for (const [index, one] of file.events.entries()) {
    if (one.type !== 'nats' || (one.user === undefined) === (one.password === undefined)) continue;
    violations.push({
      path: ['events', index, one.user === undefined ? 'user' : 'password'],
      rule: 'credentials',
      message: 'user and password go together',
      fix: 'Give both, or neither.',
    });
  }
  return violations;
}

const secretOf = (value: string | undefined): Secret | null =>
  value === undefined ? null : new Secret(value);

function publisherOf(entry: ServerFile['events'][number], id: string): PublisherConfig {
  switch (entry.type) {
    case 'webhook': {
      const secrets = [entry.secret, ...entry.previous_secrets].map((one) => new Secret(one));
      return { type: entry.type, id, url: entry.url, secrets };
    }
    case 'openlineage':
      return { ...entry, id, token: secretOf(entry.token) };
    case 'nats': {
      const { user = null, password, token } = entry;
      return { ...entry, id, user, password: secretOf(password), token: secretOf(token) };
    }
    case 'kafka': {
      const sasl =
        entry.sasl === undefined
          ? null
          : { ...entry.sasl, password: new Secret(entry.sasl.password) };
      return { ...entry, id, sasl };
    }
  }
}

/** A key for the API goes over TLS, whether that is asked for or not. */
function tlsOf({ tls, api_key: apiKey }: ServerFile['etl']['temporal']): TemporalTls | null {
  if (tls === undefined && apiKey === undefined) return null;
  const { ca = null, certificate, key, server_name: serverName = null } = tls ?? {};
  const client =
    certificate === undefined || key === undefined ? null : { certificate, key: new Secret(key) };
  return { ca, client, serverName };
}

function configOf({ etl, egress, file_roots: fileRoots, events }: ServerFile): ServerConfig {
  const { temporal, workers, retry } = etl;
  const names = namesOf(events);
  return {
    temporal: {
      address: temporal.address ?? null,
      namespace: temporal.namespace,
      taskQueue: temporal.task_queue,
      tls: tlsOf(temporal),
      apiKey: secretOf(temporal.api_key),
    },
    workers: {
      maxActivities: workers.max_concurrent_activities,
      activityTimeoutMs: workers.activity_timeout.ms,
    },
    retry: {
      maxAttempts: retry.max_attempts,
      initialDelayMs: retry.initial_interval.ms,
      maxDelayMs: retry.max_interval.ms,
      multiplier: retry.backoff_coefficient,
    },
    egress: egress ?? null,
    fileRoots: fileRoots ?? null,
    events: events.map((entry, index) => publisherOf(entry, names[index] ?? entry.type)),
  };
}

function shapeViolations(
  issues: Parameters<typeof violationsOf>[0],
  root: DocumentNode,
): Violation[] {
  const schema = jsonSchemaOf(serverSchema);
  const typeAt = (path: Violation['path']): unknown => {
    const node = nodeAt(root, [...path, 'type']);
    return node?.kind === 'scalar' ? node.value : null;
  };
  return violationsOf(issues, { root, page: PAGE, fieldsAt: (at) => fieldsAt(schema, at, typeAt) });
}

export function readServerConfig(
  place: ServerConfigPlace,
  environment: Readonly<Record<string, string | undefined>>,
): ReadServerConfig {
  const source = readSource(place);
  if (source.root === null) return { kind: 'refused', problems: source.problems };
  const { root, locate, passedOver } = source;
  const surroundings: Surroundings = surroundingsOf(place.path, environment);
  const prepared = prepare(root, surroundings);
  const { tree, given, problems } = overlay(prepared.tree, surroundings);
  const parsed = serverSchema.safeParse(tree);
  const isUnknown = ({ path }: Violation): boolean => prepared.filled.get(printPath(path)) === null;
  const violations = [
    ...prepared.violations,
    ...prepared.missing,
    ...shapeViolations(parsed.error?.issues ?? [], root).filter((one) => !isUnknown(one)),
    ...(parsed.success ? rulesOver(parsed.data) : []),
  ];
  const told = violations.map((violation) => {
    const name = variableOf(violation.path, given);
    if (name === null) return locate(violation);
    return `${name}: ${violation.message} — ${violation.fix}`;
  });
  const all = [...problems, ...told];
  if (!parsed.success || all.length > 0) return { kind: 'refused', problems: all };
  return { kind: 'read', config: configOf(parsed.data), passedOver };
}
