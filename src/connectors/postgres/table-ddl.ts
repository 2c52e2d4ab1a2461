/** Making and changing destination tables. */
import type { ConnectorContext, EvolutionStep, StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { StreamName, StreamSchema } from '../../core/stream-schema.ts';
import { inSavepoint } from './apply-rejects.ts';
import type { PgConnection } from './connection.ts';
import {
  computedHere,
  computedSql,
  incompatible,
  planTable,
  type TablePlan,
} from './destination-plan.ts';
import { DELETED_AT, type Lane } from './lane.ts';
import { quoteIdent, quoteLiteral, quoteName } from './sql.ts';
import { hasUniqueKey, readTable } from './target-table.ts';
import { columnFits } from './target-types.ts';

export async function ensureSchema(connection: PgConnection, namespace: string): Promise<void> {
  const { rows } = await connection.query('SELECT FROM pg_namespace WHERE nspname = $1', [
    namespace,
  ]);
  // Asked first, because IF NOT EXISTS needs the privilege even where nothing is made.
  if (rows.length === 0)
    await connection.execute(`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(namespace)}`);
}

/** Makes a table for the stream under a name, without keys: those come after the load. */
export async function createTable(
  lane: Lane,
  source: { readonly target: StreamTarget; readonly plan: TablePlan; readonly name: StreamName },
  context: ConnectorContext,
): Promise<void> {
  const { target, plan, name } = source;
  const columns = [...plan.wanted, ...plan.own].map(
    ({ name: column, type }) => `${quoteIdent(column)} ${type}`,
  );
  await lane.connection.execute(
    `CREATE TABLE IF NOT EXISTS ${quoteName(name)} (${columns.join(', ')})`,
  );
  for (const column of computedHere(target)) {
    try {
      await inSavepoint(lane, { name: 'forebay_computed' }, () =>
        lane.connection.execute(`ALTER TABLE ${quoteName(name)} ADD COLUMN ${computedSql(column)}`),
      );
    } catch (error) {
      if (!(error instanceof ForebayError) || error.class === 'transient') throw error;
      context.notice('computed_column_left_out', {
        stream: target.id,
        column: column.name,
        why: error.why ?? error.message,
      });
    }
  }
}

/** Creates what is missing of the stream's table, inside a transaction. */
export async function prepareTable(
  lane: Lane,
  target: StreamTarget,
  context: ConnectorContext,
): Promise<TablePlan> {
  const plan = await planTable(lane.connection, target);
  const failure = plan.findings.find((finding) => finding.error !== null)?.error;
  if (failure != null) throw failure;
  if (plan.existing === null) {
    await ensureSchema(lane.connection, target.table.namespace);
    await createTable(lane, { target, plan, name: target.table }, context);
  } else if (
    target.deletes === 'soft' &&
    target.load !== 'append' &&
    !plan.existing.columns.has(DELETED_AT)
  ) {
    await lane.connection.execute(
      `ALTER TABLE ${quoteName(target.table)} ADD COLUMN IF NOT EXISTS ${DELETED_AT} timestamptz`,
    );
  }
  return plan;
}

export function keyNames(schema: StreamSchema): string[] {
  return schema.key.flatMap((column) => schema.columns[column]?.name ?? []);
}

/** Makes the index that finds rows by key in the stream's table or the one built beside it, unless there is one. */
export async function ensureKey(
  connection: PgConnection,
  target: StreamTarget,
  name: StreamName,
): Promise<void> {
  if (target.schema.identity !== 'key' || target.load === 'append') return;
  const table = await readTable(connection, name);
  const key = keyNames(target.schema);
  if (table === null || hasUniqueKey(table, key)) return;
  const columns = key.map(quoteIdent).join(', ');
  const sql = table.hasPrimaryKey
    ? `CREATE UNIQUE INDEX ON ${quoteName(name)} (${columns})`
    : `ALTER TABLE ${quoteName(name)} ADD PRIMARY KEY (${columns})`;
  try {
    await connection.execute(sql);
  } catch (error) {
    if (!(error instanceof ForebayError) || error.class === 'transient' || error.class === 'auth') {
      throw error;
    }
    throw new ForebayError('destination_incompatible', {
      message: `no unique index on the key (${key.join(', ')}) of ${quoteName(name)} can be made`,
      why: error.why ?? error.message,
      fix: `Remove what stands in the way, then: ${sql};`,
      stream: target.id,
      cause: error,
    });
  }
}

async function addColumn(
  connection: PgConnection,
  target: StreamTarget,
  step: Extract<EvolutionStep, { readonly kind: 'add-column' }>,
): Promise<void> {
  const plan = await planTable(connection, target);
  const column = plan.wanted[step.column];
  if (column === undefined) return;
  const there = plan.existing?.columns.get(column.name);
  const table = quoteName(target.table);
  const name = quoteIdent(column.name);
  if (there !== undefined) {
    requireFit(target, plan, step.column);
    return;
  }
  if (step.existing === null) {
    await connection.execute(`ALTER TABLE ${table} ADD COLUMN ${name} ${column.type}`);
    return;
  }
  // A default that goes again at once: the rows that are there keep it, without being written anew.
  const value = `${quoteLiteral(step.existing)}::${column.type}`;
  await connection.execute(
    `ALTER TABLE ${table} ADD COLUMN ${name} ${column.type} DEFAULT ${value};
     ALTER TABLE ${table} ALTER COLUMN ${name} DROP DEFAULT`,
  );
}

function fits(target: StreamTarget, plan: TablePlan, index: number): boolean {
  const column = target.schema.columns[index];
  const there = plan.existing?.columns.get(column?.name ?? '');
  if (column === undefined || there === undefined) return false;
  const resolved =
    target.schema.family === 'postgres' ? (plan.resolved.get(column.nativeType) ?? null) : null;
  return columnFits({ logical: column.type, nativeType: column.nativeType, resolved }, there);
}

function requireFit(target: StreamTarget, plan: TablePlan, index: number): void {
  if (fits(target, plan, index)) return;
  const name = target.schema.columns[index]?.name ?? '';
  const there = plan.existing?.columns.get(name)?.type ?? 'missing';
  throw incompatible(target, [
    `column ${name} is ${there}, the source has ${target.schema.columns[index]?.nativeType ?? ''}`,
  ]);
}

async function widenColumn(
  connection: PgConnection,
  target: StreamTarget,
  index: number,
): Promise<void> {
  const plan = await planTable(connection, target);
  const column = plan.wanted[index];
  if (column === undefined || fits(target, plan, index)) return;
  const name = quoteIdent(column.name);
  try {
    await connection.execute(
      `ALTER TABLE ${quoteName(target.table)} ALTER COLUMN ${name} TYPE ${column.type} USING ${name}::${column.type}`,
    );
  } catch (error) {
    if (!(error instanceof ForebayError) || error.class === 'transient') throw error;
    throw new ForebayError('schema_change', {
      message: `column ${column.name} of ${quoteName(target.table)} cannot become ${column.type}`,
      why: error.why ?? error.message,
      stream: target.id,
      cause: error,
    });
  }
}

async function renameColumn(
  connection: PgConnection,
  target: StreamTarget,
  step: Extract<EvolutionStep, { readonly kind: 'rename-column' }>,
): Promise<void> {
  const table = await readTable(connection, target.table);
  const to = step.to ?? target.schema.columns[step.column]?.name;
  if (
    to === undefined ||
    table === null ||
    (table.columns.has(to) && !table.columns.has(step.from))
  )
    return;
  if (table.columns.has(to) || !table.columns.has(step.from)) {
    throw new ForebayError('schema_change', {
      message: `column ${step.from} of ${quoteName(target.table)} cannot be renamed to ${to}`,
      why: table.columns.has(to)
        ? 'a column of that name is there already'
        : 'the column is not there',
      stream: target.id,
    });
  }
  await connection.execute(
    `ALTER TABLE ${quoteName(target.table)} RENAME COLUMN ${quoteIdent(step.from)} TO ${quoteIdent(to)}`,
  );
}

/** `target` has the schema that the steps lead to. Steps that were done before are passed over. */
export async function evolveTable(
  connection: PgConnection,
  target: StreamTarget,
  steps: readonly EvolutionStep[],
): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case 'add-column':
        await addColumn(connection, target, step);
        break;
      case 'widen-column':
        await widenColumn(connection, target, step.column);
        break;
      case 'rename-column':
        await renameColumn(connection, target, step);
        break;
    }
  }
}
