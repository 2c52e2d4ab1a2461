/** What a stream's table at the destination is or would be, and whether the stream fits it. */
import type { Finding, StreamTarget, TargetColumn, TargetPlan } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { hasBinaryForm } from '../../core/value.ts';
import { eventColumns } from './apply-append.ts';
import { cellPath } from './cell-path.ts';
import type { PgConnection } from './connection.ts';
import { DELETED_AT } from './lane.ts';
import { FRAME_FORMAT } from './snapshot.ts';
import { quoteIdent, quoteName } from './sql.ts';
import { MAX_COLUMNS, type NewColumn } from './stage.ts';
import {
  type ExistingColumn,
  type ExistingTable,
  readTable,
  resolveTypes,
  tableIsEmpty,
  type TargetType,
} from './target-table.ts';
import { columnFits, isPortable, typeForLogical } from './target-types.ts';

export interface TablePlan {
  readonly existing: ExistingTable | null;
  /** Columns of the stream in its order, with the types a new table gets. */
  readonly wanted: readonly NewColumn[];
  /** Columns of our own that the load method needs. */
  readonly own: readonly NewColumn[];
  /** Columns that cells go to: the existing ones, or those to be made. */
  readonly columns: readonly ExistingColumn[];
  readonly resolved: ReadonlyMap<string, TargetType>;
  readonly findings: readonly Finding[];
}

const POSTGRES = 'postgres';

export function ownColumns(target: StreamTarget): readonly NewColumn[] {
  if (target.load === 'append') return eventColumns(target);
  if (target.deletes === 'soft') return [{ name: DELETED_AT, type: 'timestamp with time zone' }];
  return [];
}

function newColumn(name: string, typeName: string, type: TargetType): ExistingColumn {
  const flags = { notNull: false, hasDefault: false, generated: false, identityAlways: false };
  return { ...type, ...flags, name, type: typeName, typmod: -1 };
}

/** Why an existing table cannot take the stream; empty if it can. */
function mismatches(
  target: StreamTarget,
  table: ExistingTable,
  plan: Pick<TablePlan, 'own' | 'resolved'>,
): string[] {
  if (table.kind === 'other') return ['it is no table'];
  // Its rows and, where nothing hangs on it, its columns give way to those of the table built beside.
  if (target.load === 'replace') return [];
  const problems: string[] = [];
  const needed = new Set(plan.own.map((column) => column.name));
  for (const column of target.schema.columns) {
    needed.add(column.name);
    const there = table.columns.get(column.name);
    const resolved =
      target.schema.family === POSTGRES ? (plan.resolved.get(column.nativeType) ?? null) : null;
    const source = { logical: column.type, nativeType: column.nativeType, resolved };
    if (there === undefined)
      problems.push(`column ${column.name} (${column.nativeType}) is missing`);
    else if (there.generated) problems.push(`column ${column.name} is generated`);
    else if (!columnFits(source, there)) {
      problems.push(`column ${column.name} is ${there.type}, the source has ${column.nativeType}`);
    }
  }
  if (target.load === 'append') {
    for (const { name } of plan.own) {
      if (!table.columns.has(name)) problems.push(`column ${name} is missing`);
    }
  }
  for (const column of table.columns.values()) {
    const fills = !column.notNull || column.hasDefault || column.generated;
    if (!needed.has(column.name) && !fills) {
      problems.push(
        `column ${column.name} is NOT NULL without a default and the source does not have it`,
      );
    }
  }
  return problems;
}

export function incompatible(target: StreamTarget, problems: readonly string[]): ForebayError {
  const table = quoteName(target.table);
  return new ForebayError('destination_incompatible', {
    message: `table ${table} does not fit stream ${target.id}`,
    why: problems.join('; '),
    fix: `Correct the columns with ALTER TABLE ${table}, drop the table so that it is made anew, or load into another --schema.`,
    stream: target.id,
  });
}

/** Which type each column of a new table gets, and what those types are here. */
async function chooseTypes(
  connection: PgConnection,
  target: StreamTarget,
): Promise<{
  readonly wanted: readonly NewColumn[];
  readonly resolved: ReadonlyMap<string, TargetType>;
}> {
  const { schema } = target;
  if (schema.family === POSTGRES) {
    const names = schema.columns.map((column) => column.nativeType);
    const resolved = await resolveTypes(connection, [...names, 'text']);
    // A type that is not known here (enum, domain, composite, extension) has its text as value.
    const wanted = schema.columns.map(({ name, nativeType }) => ({
      name,
      type: resolved.has(nativeType) ? nativeType : 'text',
    }));
    return { wanted, resolved };
  }
  const wanted = schema.columns.map(({ name, type }) => ({ name, type: typeForLogical(type) }));
  const resolved = await resolveTypes(connection, [...wanted.map(({ type }) => type), 'text']);
  return { wanted, resolved };
}

async function privilegeFinding(
  connection: PgConnection,
  target: StreamTarget,
  existing: ExistingTable | null,
): Promise<Finding | null> {
  const { namespace } = target.table;
  const { rows } =
    existing === null
      ? await connection.query(
          `SELECT CASE WHEN n.oid IS NULL
             THEN has_database_privilege(current_database(), 'CREATE')
             ELSE has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE') END::text,
             (n.oid IS NOT NULL)::text, quote_ident(current_user), quote_ident(current_database())
           FROM (SELECT $1::text AS name) w LEFT JOIN pg_namespace n ON n.nspname = w.name`,
          [namespace],
        )
      : await connection.query(
          `SELECT (SELECT bool_and(has_table_privilege($1::oid, p)) FROM unnest($2::text[]) p)::text, 'true',
             quote_ident(current_user), ''`,
          [String(existing.oid), '{SELECT,INSERT,UPDATE,DELETE}'],
        );
  const [granted, schemaThere, user = '', database = ''] = rows[0] ?? [];
  if (granted === 'true') return null;
  const schemaGrant =
    schemaThere === 'true'
      ? `GRANT USAGE, CREATE ON SCHEMA ${quoteIdent(namespace)} TO ${user};`
      : `GRANT CREATE ON DATABASE ${database} TO ${user};`;
  const fix =
    existing === null
      ? schemaGrant
      : `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ${quoteName(target.table)} TO ${user};`;
  const message = `user ${user} may not write table ${quoteName(target.table)}`;
  const error = new ForebayError('privilege_missing', { message, fix, stream: target.id });
  return {
    step: 'destination_privileges',
    severity: 'error',
    message,
    fix,
    stream: target.id,
    error,
  };
}

function tooWide(target: StreamTarget, width: number): Finding {
  const table = quoteName(target.table);
  const own = ownColumns(target).length;
  const message = `table ${table} would have ${width} columns, PostgreSQL allows ${MAX_COLUMNS}`;
  const fix =
    own < width - MAX_COLUMNS
      ? `Leave ${target.id} out with --streams, and copy a narrower view of it as a table.`
      : `Load without ${target.load === 'append' ? '--load append' : '--deletes soft'}, which adds ${own} of them, or leave ${target.id} out with --streams.`;
  const error = new ForebayError('destination_incompatible', { message, fix, stream: target.id });
  const { id: stream } = target;
  return { step: 'destination_table', severity: 'error', message, fix, stream, error };
}

export async function planTable(
  connection: PgConnection,
  target: StreamTarget,
): Promise<TablePlan> {
  const { wanted, resolved } = await chooseTypes(connection, target);
  const own = ownColumns(target);
  const existing = await readTable(connection, target.table);
  const findings: Finding[] = [];
  const privileges = await privilegeFinding(connection, target, existing);
  if (privileges !== null) findings.push(privileges);
  const width = wanted.length + own.length;
  if (width > MAX_COLUMNS) findings.push(tooWide(target, width));
  if (existing !== null) {
    const problems = mismatches(target, existing, { own, resolved });
    if (problems.length > 0) {
      const error = incompatible(target, problems);
      findings.push({
        step: 'destination_table',
        severity: 'error',
        message: `${error.message}: ${problems.join('; ')}`,
        fix: error.fix,
        stream: target.id,
        error,
      });
    }
  }
  const text = resolved.get('text');
  const columns = wanted.flatMap(({ name, type }) => {
    const there = target.load === 'replace' ? undefined : existing?.columns.get(name);
    if (there !== undefined) return [there];
    const known = resolved.get(type) ?? text;
    return known === undefined ? [] : [newColumn(name, type, known)];
  });
  return { existing, wanted, own, columns, resolved, findings };
}

/** True if the source's COPY BINARY rows are rows of the table. */
function takesFrames(target: StreamTarget, plan: TablePlan): boolean {
  if (target.schema.family !== POSTGRES || target.load === 'append') return false;
  return target.schema.columns.every((column, index) => {
    const source = plan.resolved.get(column.nativeType);
    const there = plan.columns[index];
    return (
      source !== undefined && there !== undefined && source.oid === there.oid && isPortable(source)
    );
  });
}

function wishedEncoding(target: StreamTarget, column: number, there: ExistingColumn): TargetColumn {
  const type = target.schema.columns[column]?.type;
  const direct = cellPath(target.schema, column, 'binary', there).direct;
  const encoding = type !== undefined && hasBinaryForm(type) && direct ? 'binary' : 'text';
  return { name: there.name, type: there.type, encoding };
}

/** Of the table that the snapshot goes to: for `replace` that is a new one. */
async function emptiness(
  connection: PgConnection,
  target: StreamTarget,
  plan: TablePlan,
): Promise<boolean> {
  if (plan.existing === null || plan.existing.kind === 'other') return true;
  if (target.load === 'replace') return true;
  const denied = plan.findings.some((finding) => finding.step === 'destination_privileges');
  return denied ? false : tableIsEmpty(connection, plan.existing.name);
}

/** Computed columns that cannot be made here; found out in a transaction that is rolled back. */
async function computedFindings(
  connection: PgConnection,
  target: StreamTarget,
  plan: TablePlan,
): Promise<Finding[]> {
  const computed = computedHere(target);
  if (computed.length === 0 || plan.existing !== null) return [];
  const columns = plan.wanted.map(({ name, type }) => `${quoteIdent(name)} ${type}`);
  const findings: Finding[] = [];
  await connection.execute('BEGIN');
  try {
    await connection.execute(`CREATE TEMP TABLE forebay_probe (${columns.join(', ')})`);
    for (const column of computed) {
      await connection.execute('SAVEPOINT probe');
      try {
        await connection.execute(
          `ALTER TABLE pg_temp.forebay_probe ADD COLUMN ${computedSql(column)}`,
        );
      } catch (error) {
        if (!(error instanceof ForebayError) || error.class === 'transient') throw error;
        await connection.execute('ROLLBACK TO SAVEPOINT probe');
        const message = `computed column ${column.name} cannot be made here and is left out: ${error.why ?? ''}`;
        const fix = 'Create the functions and types that its expression uses, then drop the table.';
        findings.push({
          step: 'computed_column',
          severity: 'warning',
          message,
          fix,
          stream: target.id,
          error: null,
        });
      }
    }
  } finally {
    await connection.execute('ROLLBACK');
  }
  return findings;
}

export type Computed = StreamTarget['schema']['computed'][number];

export function computedHere(target: StreamTarget): readonly Computed[] {
  return target.schema.family === POSTGRES && target.load !== 'append'
    ? target.schema.computed
    : [];
}

export function computedSql(column: Computed): string {
  return `${quoteIdent(column.name)} ${column.nativeType} GENERATED ALWAYS AS (${column.expression}) STORED`;
}

export async function planTarget(
  connection: PgConnection,
  target: StreamTarget,
): Promise<TargetPlan> {
  const plan = await planTable(connection, target);
  const fits = plan.findings.every((finding) => finding.severity !== 'error');
  return {
    exists: plan.existing !== null,
    empty: await emptiness(connection, target, plan),
    columns: plan.columns.map((column, index) => wishedEncoding(target, index, column)),
    frameFormat: fits && takesFrames(target, plan) ? FRAME_FORMAT : null,
    findings: [...plan.findings, ...(fits ? await computedFindings(connection, target, plan) : [])],
  };
}
