/** Rules inside the service, an authentication, a retry policy, a transformation. Pure. */
import { parseDurationMs } from '../../core/duration.ts';
import { readDeadLetters } from './dead-letters.ts';
import { type Outline, type Part, partAt, textOf } from './outline.ts';
import type { Path, Violation } from './problem.ts';
import { TRANSFORMATION_TYPES, type TransformationType } from './schema-transformations.ts';

/** What a compiler of specifications found; `path` begins inside the specification. */
export interface SpecificationProblem {
  readonly path: Path;
  readonly message: string;
  readonly fix?: string;
}

/** Compiles a specification to find its mistakes; references in it are filled in as far as they can be. */
export type CheckSpecification = (
  type: TransformationType,
  specification: Readonly<Record<string, unknown>>,
) => readonly SpecificationProblem[];

function portRules(service: Part): Violation[] {
  const { metrics_port: metrics = 9464, health_port: health = 8080 } = service.fields;
  if (metrics !== health) return [];
  const field = 'health_port' in service.fields ? 'health_port' : 'metrics_port';
  return [
    {
      path: [...service.path, field],
      rule: 'unique-port',
      message: `metrics_port and health_port are both ${String(health)}`,
      fix: 'Give the health checks and the metrics a port each.',
    },
  ];
}

function delayRules(stream: Part): Violation[] {
  const policy = partAt(stream, 'retry_policy');
  const initial = parseDurationMs(textOf(policy, 'initial_delay') ?? '1s');
  const longest = parseDurationMs(textOf(policy, 'max_delay') ?? '1m');
  if (initial === null || longest === null || longest <= 0 || initial <= longest) return [];
  const isGiven = 'max_delay' in policy.fields;
  return [
    {
      path: [...policy.path, isGiven ? 'max_delay' : 'initial_delay'],
      rule: 'range',
      message: `max_delay${isGiven ? '' : ' (1m unless it is given)'} is shorter than initial_delay${'initial_delay' in policy.fields ? '' : ' (1s unless it is given)'}`,
      fix: 'Raise max_delay or lower initial_delay.',
    },
  ];
}

const ENTRA_WAYS = ['client_secret', 'client_certificate', 'managed_identity', 'workload_identity'];

function entraRules(entry: Part): Violation[] {
  if (textOf(entry, 'type') !== 'azure_entra') return [];
  const config = partAt(entry, 'config');
  const given = ENTRA_WAYS.filter(
    (way) => config.fields[way] !== undefined && config.fields[way] !== false,
  );
  const found: Violation[] = [];
  if (given.length !== 1) {
    found.push({
      path: config.path,
      at: 'key',
      rule: 'credentials',
      message:
        given.length === 0
          ? 'azure_entra needs a way to prove itself'
          : `azure_entra takes one way to prove itself, here are ${given.join(' and ')}`,
      fix: `Give one of ${ENTRA_WAYS.join(', ')}.`,
    });
  }
  if (config.fields['managed_identity'] !== true) {
    for (const field of ['tenant_id', 'client_id']) {
      if (config.fields[field] !== undefined) continue;
      found.push({
        path: [...config.path, field],
        rule: 'required',
        message: `${field} is missing`,
        fix: `Add ${field}; only a managed identity goes without it.`,
      });
    }
  }
  return [...found, ...authorityRules(config)];
}

function authorityRules(config: Part): Violation[] {
  const authority = textOf(config, 'authority_host');
  if (authority === null || authority.includes('${')) return [];
  if (URL.canParse(authority) && new URL(authority).protocol === 'https:') return [];
  return [
    {
      path: [...config.path, 'authority_host'],
      rule: 'format',
      message: 'must be an https URL',
      fix: 'Write e.g. https://login.microsoftonline.com.',
    },
  ];
}

function deadLetterRules(transformation: Part, outline: Outline): Violation[] {
  const handling = partAt(transformation, 'error_handling');
  const path = [...handling.path, 'dead_letter_destination'];
  if (!('dead_letter_destination' in handling.fields)) {
    if (textOf(handling, 'on_error') !== 'dead_letter') return [];
    return [
      {
        path,
        rule: 'required',
        message: 'dead_letter_destination is missing, and on_error is dead_letter',
        fix: 'Add e.g. dead_letter_destination: table:_forebay.dead_letters.',
      },
    ];
  }
  const text = outline.textAt(path);
  const flaw = text === null ? null : readDeadLetters(text).flaw;
  return flaw === null ? [] : [{ path, rule: 'dead-letters', ...flaw }];
}

/** With the references in it filled in; those that could not be are left as they stand. */
function filledIn(value: unknown, path: Path, outline: Outline): unknown {
  if (typeof value === 'string') {
    return value.includes('${') ? (outline.textAt(path) ?? value) : value;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => filledIn(item, [...path, index], outline));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, filledIn(member, [...path, key], outline)]),
  );
}

function stepRules(specification: Part): Violation[] {
  const parts = ['filter', 'mapping', 'mask', 'module'].filter(
    (key) => key in specification.fields,
  );
  const hasSteps = 'steps' in specification.fields;
  if (hasSteps ? parts.length === 0 : parts.length > 0) return [];
  return [
    {
      path: specification.path,
      at: 'key',
      rule: 'specification',
      message: hasSteps
        ? `steps stand beside ${parts.join(', ')}`
        : 'the specification does nothing',
      fix: hasSteps
        ? 'Put all of it into steps, in the order it is to be done.'
        : 'Give filter, mapping, mask, module or steps.',
    },
  ];
}

function specificationRules(
  transformation: Part,
  outline: Outline,
  check: CheckSpecification,
): Violation[] {
  const type = TRANSFORMATION_TYPES.find((one) => one === transformation.fields['type']);
  const specification = partAt(transformation, 'specification');
  if (type === undefined || !('specification' in transformation.fields)) return [];
  const { path } = specification;
  const filled = Object.fromEntries(
    Object.entries(specification.fields).map(([key, value]) => [
      key,
      filledIn(value, [...path, key], outline),
    ]),
  );
  const found = check(type, filled).map((problem): Violation => ({
    path: [...path, ...problem.path],
    rule: 'specification',
    message: problem.message,
    fix: problem.fix ?? `Correct the ${type} specification here.`,
  }));
  return [...(type === 'custom' ? stepRules(specification) : []), ...found];
}

export function entryRules(outline: Outline, check: CheckSpecification): Violation[] {
  return [
    ...portRules(outline.service),
    ...outline.streams.flatMap(delayRules),
    ...outline.authentication.flatMap(entraRules),
    ...outline.transformations.flatMap((transformation) => [
      ...deadLetterRules(transformation, outline),
      ...specificationRules(transformation, outline, check),
    ]),
  ];
}
