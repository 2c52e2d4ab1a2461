/** Connections as they are written and read. */
import { z } from 'zod';
import { connectorTypeInput, connectorTypeSchema } from './connectors.ts';
import { json, name, nextCursor, time, uuid, version } from './fields.ts';

const config = z
  .record(z.string().max(200), z.unknown())
  .meta({ description: 'Fields of the type, as `/api/v1/connectors` lists them.' });

export const connectionInput = z
  .strictObject({ name, connector_type: connectorTypeInput, config })
  .meta({ id: 'ConnectionInput' });
export type ConnectionInput = z.output<typeof connectionInput>;

export const findingSchema = z
  .object({
    step: z.string().meta({ description: 'What was looked at: dns, tcp, tls, auth, ...' }),
    status: z.enum(['ok', 'info', 'warning', 'error', 'skipped']),
    message: z.string(),
    fix: z.string().nullable().meta({ description: 'Statement or action that mends it.' }),
    duration_ms: z.number().nullable(),
  })
  .meta({ id: 'TestStep' });

export const connectionTestSchema = z
  .object({
    success: z.boolean(),
    message: z.string(),
    metadata: z.record(z.string(), json).meta({ description: 'What the system told of itself.' }),
    steps: z.array(findingSchema),
  })
  .meta({ id: 'ConnectionTest' });
export type ConnectionTest = z.output<typeof connectionTestSchema>;

export const connectionSchema = z
  .object({
    id: uuid,
    name: z.string(),
    connector_type: connectorTypeSchema,
    config: z
      .record(z.string(), json)
      .meta({ description: 'A secret that is stored shows as null.' }),
    has_secret: z.boolean(),
    status: z.enum(['pending', 'active', 'error']),
    last_test_at: time.nullable(),
    last_test_result: connectionTestSchema.nullable(),
    version,
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Connection' });

export const connectionListSchema = z.object({
  connections: z.array(connectionSchema),
  next_cursor: nextCursor,
});

export const catalogStreamSchema = z.object({
  stream: z.string(),
  readable: z.boolean(),
  estimated_rows: z.number().nullable(),
  estimated_bytes: z.number().nullable(),
  key: z.array(z.string()),
  columns: z.array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean() })),
});

export const catalogSchema = z
  .object({ streams: z.array(catalogStreamSchema) })
  .meta({ id: 'Catalog', description: 'What is there to be read.' });
export type Catalog = z.output<typeof catalogSchema>;

export const connectorListSchema = z.object({
  connectors: z.array(
    z.object({
      connector_type: connectorTypeSchema,
      title: z.string(),
      source: z.array(z.string()).meta({ description: 'What it can do as a source.' }),
      destination: z.array(z.string()).meta({ description: 'What it can do as a destination.' }),
      config_schema: z.record(z.string(), json).meta({ description: 'JSON Schema 2020-12.' }),
    }),
  ),
  next_cursor: nextCursor,
});
