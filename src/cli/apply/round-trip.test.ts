// What is exported applies without a change, whatever the server has.
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { connectorConfiguration } from '../../api/schemas/connectors.ts';
import { pipelineInput, pipelineSchema } from '../../api/schemas/pipelines.ts';
import type { Connection, Pipeline } from '../client/find.ts';
import { planChanges } from './change-plan.ts';
import type { Live } from './desired.ts';
import { readText } from './documents.ts';
import { exportedFiles } from './exported-files.ts';
import { readDesired } from './read-desired.ts';

const NOW = '2026-03-01T00:00:00.000Z';

/** Texts that YAML, references or file names could take for something else. */
const trickyText = fc.oneof(
  fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }),
  fc.constantFrom(
    '${env:HOME}',
    '$${',
    '$$${x}',
    'null',
    'true',
    '08',
    '1e3',
    '- a',
    '# x',
    'a: b',
    '*x',
    "'",
    '../..',
    '~',
  ),
);
const name = fc
  .oneof(trickyText, fc.constantFrom('shop', 'Shop', 'shop!', 'a b', 'a-b'))
  .filter((text) => text.trim() === text && text !== '' && !/\p{Cc}/u.test(text));

const secrets = (fields: readonly string[]) =>
  fc
    .subarray([...fields])
    .map((chosen) => Object.fromEntries(chosen.map((field) => [field, null])));

const config = fc.oneof(
  fc
    .tuple(
      fc.record(
        {
          host: trickyText,
          database: trickyText,
          user: trickyText,
          port: fc.integer({ min: 1, max: 65_535 }),
          ssl_mode: fc.constantFrom('disable', 'require'),
        },
        { requiredKeys: ['host', 'database', 'user'] },
      ),
      secrets(['password']),
    )
    .map(([plain, hidden]) => ({ type: 'postgres' as const, config: { ...plain, ...hidden } })),
  fc.constant({ type: 'mysql' as const, config: { connection_string: null } }),
  fc
    .record({ account: trickyText, user: trickyText, warehouse: trickyText, database: trickyText })
    .chain((plain) =>
      secrets(['password', 'private_key', 'private_key_passphrase']).map((hidden) => ({
        type: 'snowflake' as const,
        config: { ...plain, ...hidden },
      })),
    ),
);

const id = fc.uuid({ version: 4 });

const connection = fc.record({ name, id, config }).map((row): Connection => ({
  id: row.id,
  name: row.name,
  connector_type: row.config.type,
  config: row.config.config,
  has_secret: false,
  status: 'pending',
  last_test_at: null,
  last_test_result: null,
  version: 1,
  created_at: NOW,
  updated_at: NOW,
}));

const stream = fc.oneof(
  trickyText,
  fc.record(
    {
      stream: trickyText,
      cursor_column: trickyText,
      key: fc.array(trickyText, { minLength: 1, maxLength: 2 }),
      columns: fc.dictionary(trickyText, fc.constantFrom('int64', 'decimal(12,2)'), { maxKeys: 2 }),
    },
    { requiredKeys: ['stream'] },
  ),
);
const schedule = fc.oneof(
  fc.constant({}),
  fc.constant({
    schedule_type: 'cron' as const,
    cron_expression: '0 6 * * *',
    time_zone: 'Europe/Berlin',
  }),
  fc
    .integer({ min: 1, max: 100_000 })
    .map((interval_seconds) => ({ schedule_type: 'interval' as const, interval_seconds })),
);

const pipelineParts = fc.record({
  name,
  id,
  streams: fc.uniqueArray(stream, {
    minLength: 1,
    maxLength: 3,
    selector: (one) => (typeof one === 'string' ? one : one.stream),
  }),
  schedule,
  is_active: fc.boolean(),
  layers: fc.constantFrom(undefined, { gold: false }, { silver_mode: 'history' as const }),
  rules: fc.constantFrom(undefined, [
    { rule: 'not_null' as const, columns: ['a'], action: 'filter' as const },
  ]),
  retry: fc.constantFrom(
    undefined,
    { max_attempts: 3 },
    { initial_delay: '500ms', max_delay: '1h30m' },
    { initial_delay_ms: 20, max_delay: '20ms' },
  ),
  kind: fc.constantFrom('etl' as const, 'ingestion' as const),
  from: fc.nat(),
  to: fc.nat(),
});

/** As the API answers it: what was written, with its defaults. */
function pipelineOf(
  parts: typeof pipelineParts extends fc.Arbitrary<infer P> ? P : never,
  connections: readonly Connection[],
): Pipeline {
  const input = pipelineInput.parse({
    name: parts.name,
    source_connection_id: connections[parts.from % connections.length]?.id,
    destination_connection_id: connections[parts.to % connections.length]?.id,
    kind: parts.kind,
    streams: parts.streams,
    ...parts.schedule,
    is_active: parts.is_active,
    layers: parts.layers,
    quality_rules: parts.rules,
    retry_policy: parts.retry,
  });
  return pipelineSchema.parse({
    ...input,
    id: parts.id,
    benthos_configuration_ids: [],
    cron_expression: input.cron_expression ?? null,
    interval_seconds: input.interval_seconds ?? null,
    last_run_at: null,
    last_run_status: null,
    next_run_at: null,
    workflow_id: parts.id,
    version: 1,
    created_at: NOW,
    updated_at: NOW,
  });
}

const live = fc
  .record({
    connections: fc.uniqueArray(connection, {
      minLength: 1,
      maxLength: 4,
      selector: (row) => row.name,
    }),
    pipelines: fc.uniqueArray(pipelineParts, { maxLength: 3, selector: (row) => row.name }),
  })
  .map(({ connections, pipelines }): Live => ({
    connections,
    pipelines: pipelines.map((parts) => pipelineOf(parts, connections)),
    benthos: [],
  }));

function appliedTo(
  target: Live,
  files: readonly { readonly name: string; readonly text: string }[],
) {
  const read = files.map((file) => readText(file.name, file.text));
  const all = {
    documents: read.flatMap(({ documents }) => documents),
    problems: read.flatMap(({ problems }) => problems),
  };
  const { desired, problems } = readDesired(all, target, true);
  expect(problems).toEqual([]);
  return planChanges(desired, target, { prune: true, secretsAgain: false });
}

test('a server that is exported and applied to itself stays as it is', () => {
  fc.assert(
    fc.property(live, (state) => {
      const files = exportedFiles(state);
      expect(new Set(files.map((file) => file.name.toLowerCase())).size).toBe(files.length);
      const steps = appliedTo(state, files);
      expect(steps.filter(({ action }) => action !== 'unchanged')).toEqual([]);
      expect(steps).toHaveLength(state.connections.length + state.pipelines.length);
    }),
    { verbose: true },
  );
});

test('on an empty server all of it is made', () => {
  fc.assert(
    fc.property(live, (state) => {
      const steps = appliedTo(
        { connections: [], pipelines: [], benthos: [] },
        exportedFiles(state),
      );
      expect(steps.map(({ action }) => action)).toEqual(steps.map(() => 'create'));
      expect(steps).toHaveLength(state.connections.length + state.pipelines.length);
    }),
    { verbose: true },
  );
});

test('file names hold nothing that leads elsewhere, and each secret has a variable of its own', () => {
  fc.assert(
    fc.property(live, (state) => {
      const files = exportedFiles(state);
      for (const file of files)
        expect(file.name).toMatch(/^(?:connection|pipeline)[a-z0-9-]*\.yaml$/);
      const variables = files.flatMap((file) => file.variables);
      expect(new Set(variables).size).toBe(variables.length);
      const count = state.connections.flatMap((row) =>
        Object.keys(row.config).filter((field) =>
          connectorConfiguration(row.connector_type).secretNames.has(field),
        ),
      );
      expect(variables).toHaveLength(count.length);
    }),
    { verbose: true },
  );
});
