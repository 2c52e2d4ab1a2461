/** Source and destination of a stream. */
import { z } from 'zod';
import { duration, identifier, meta, patterned, text, whole } from './fields.ts';

export const SYSTEM_TYPES = ['postgres', 'mysql', 'mongodb', 'cosmosdb'] as const;
export type SystemType = (typeof SYSTEM_TYPES)[number];

const type = z.enum(SYSTEM_TYPES).meta(
  meta({
    description: 'Which system it is; mysql is MariaDB too.',
    examples: ['postgres'],
  }),
);

const connectionString = text.meta(
  meta({
    description:
      'How the system is reached. It needs no user and no password where `auth_id` gives them.',
    examples: ['${env:SHOP_DATABASE_URL}', 'postgres://shop-db.internal:5432/shop'],
    rule: 'the form that the type asks for, see [connection strings](#connection-strings)',
  }),
);

const authId = identifier().meta(
  meta({
    description: 'Id of the entry of `authentication` that gives user, password or certificate.',
    examples: ['shop-reader'],
    rule: 'must be there in `authentication`',
  }),
);

const database = text.meta(
  meta({
    description: 'Name of the database.',
    examples: ['shop'],
    rule: 'must not contradict a database in `connection_string`',
  }),
);

const changeStreamOptions = z.strictObject({
  mode: z
    .enum(['snapshot_and_changes', 'changes', 'snapshot'])
    .default('snapshot_and_changes')
    .meta(
      meta({
        description:
          'Whether what is there is copied first, whether changes are followed, or both.',
        examples: ['changes'],
      }),
    ),
  publication: text
    .max(63)
    .optional()
    .meta(
      meta({
        description: 'Publication to read; left out, the stream makes its own.',
        examples: ['shop_publication'],
        rule: 'only for postgres; at most 63 characters',
      }),
    ),
  slot: patterned(
    /^[a-z0-9_]{1,63}$/,
    'must be 1 to 63 lower-case letters, digits or underscores',
    'Write a name that PostgreSQL takes for a replication slot, e.g. shop_orders.',
  )
    .optional()
    .meta(
      meta({
        description: 'Replication slot to read; left out, the stream makes its own.',
        examples: ['shop_orders'],
        rule: 'only for postgres; 1 to 63 lower-case letters, digits or underscores',
      }),
    ),
  schema_changes: z
    .enum(['evolve', 'pause', 'ignore'])
    .default('evolve')
    .meta(
      meta({
        description: 'What happens when a column is added or changes its type at the source.',
        examples: ['pause'],
      }),
    ),
  heartbeat_interval: duration()
    .optional()
    .meta(
      meta({
        description: 'How often the source is told that the stream lives while nothing changes.',
        examples: ['10s'],
        unit: 'duration',
      }),
    ),
  parallel: whole(1, 64)
    .optional()
    .meta(
      meta({
        description: 'Parts of the snapshot read at once; left out, by the number of processors.',
        examples: [4],
        unit: 'connections',
      }),
    ),
  exclude: z
    .array(text)
    .default([])
    .meta(
      meta({
        description: 'Tables to leave out, as names or globs with `*` and `?`.',
        examples: [['public.audit_*']],
      }),
    ),
});

export const sourceSchema = z
  .strictObject({
    type,
    connection_string: connectionString,
    auth_id: authId.optional(),
    database,
    collection_table: text.optional().meta(
      meta({
        description:
          'Table or collection to read, or a glob with `*` and `?`; left out, all that may be read. ' +
          'A PostgreSQL name without a schema is one in `public`.',
        examples: ['public.orders', 'public.*'],
      }),
    ),
    change_stream_options: changeStreamOptions
      .prefault({})
      .meta({ description: 'How the source is read.' }),
  })
  .meta({ description: 'Where the rows come from.' });

const writeOptions = z.strictObject({
  load: z
    .enum(['upsert', 'append', 'replace', 'history'])
    .default('upsert')
    .meta(
      meta({
        description:
          'Rows by key as they are now; every change as a row of its own; the table built anew; or all versions of a row with their times.',
        examples: ['append'],
      }),
    ),
  deletes: z
    .enum(['hard', 'soft', 'ignore'])
    .default('hard')
    .meta(
      meta({
        description: 'A deleted row is deleted, marked in `_forebay_deleted_at`, or left as it is.',
        examples: ['soft'],
      }),
    ),
  schema: text
    .max(63)
    .optional()
    .meta(
      meta({
        description: "Schema for the tables; left out, the source's.",
        examples: ['shop_copy'],
        rule: 'only for postgres; at most 63 characters',
      }),
    ),
  batch_interval: duration()
    .optional()
    .meta(
      meta({
        description: 'How long changes are gathered at most before they are written.',
        examples: ['200ms'],
        unit: 'duration',
      }),
    ),
  flatten: patterned(
    /^\S{1,8}$/,
    'must be a separator of 1 to 8 characters without spaces',
    'Write e.g. "_" or "__".',
  )
    .optional()
    .meta(
      meta({
        description:
          'Separator by which the names of nested values become column names; left out, nested values are JSON columns.',
        examples: ['_'],
        rule: '1 to 8 characters without spaces',
      }),
    ),
});

export const destinationSchema = z
  .strictObject({
    type,
    connection_string: connectionString,
    auth_id: authId.optional(),
    database,
    collection_table: text.optional().meta(
      meta({
        description: "Table or collection to write; left out, the source's name.",
        examples: ['public.orders_copy'],
        rule: 'a name, no glob, and only where the source is a single table',
      }),
    ),
    write_options: writeOptions
      .prefault({})
      .meta({ description: 'How the destination is written.' }),
  })
  .meta({ description: 'Where the rows go to.' });
