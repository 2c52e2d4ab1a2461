// A log of what was committed at a source, written by triggers into a schema of its own, and the comparison of a
// history (`append`) with it: every transaction there whole and once, in its order, and none that never was.
import assert from 'node:assert/strict';

import {
  type ColumnOf,
  type Dialect,
  ident,
  rowText,
  selectTexts,
  sourceColumns,
  textForm,
} from './content.ts';
import type { TextRow } from './duckdb-read.ts';
import type { ServerConnection } from './server-connection.ts';

/** Makes the log; the source's server must have `track_commit_timestamp`. */
export const AUDIT_TABLE = `
create schema audit;
create table audit.log (seq bigserial primary key, tab text, xid xid, op text, old text[], new text[]);
`;

function cells(columns: readonly ColumnOf[], row: 'old' | 'new'): string {
  const texts = columns.map((column) => textForm(column, 'postgres'));
  return `(select array[${texts.join(', ')}]::text[] from (select ${row}.*) one)`;
}

/** For a table, and for its leaves when it is partitioned: row triggers of the root act on all of them. */
function triggerOf(table: string, columns: readonly ColumnOf[]): string {
  const name = ident(`log_${table}`);
  return `
create function audit.${name}() returns trigger language plpgsql set timezone = 'UTC' as $body$
begin
  insert into audit.log (tab, xid, op, old, new) values ('${table}', pg_current_xact_id()::xid, lower(left(tg_op, 1)),
    case when tg_op in ('UPDATE', 'DELETE') then ${cells(columns, 'old')} end,
    case when tg_op in ('UPDATE', 'INSERT') then ${cells(columns, 'new')} end);
  return null;
end $body$;
create trigger log_rows after insert or update or delete on public.${ident(table)} for each row execute function audit.${name}();
create trigger log_truncate after truncate on public.${ident(table)} execute function audit.${name}();`;
}

/** From here on every change of the tables that are there is logged; rows that are there count as inserted now. */
export async function startAudit(server: ServerConnection, database: string): Promise<void> {
  const tables = await sourceColumns(server, database);
  const statements = [AUDIT_TABLE, `set timezone = 'UTC'`, 'begin'];
  for (const [table, columns] of tables) {
    statements.push(
      triggerOf(table, columns),
      `insert into audit.log (tab, xid, op, new)
       select '${table}', pg_current_xact_id()::xid, 'i', array[${columns.map((column) => textForm(column, 'postgres')).join(', ')}]::text[]
       from public.${ident(table)}`,
    );
  }
  await server.query(database, [...statements, 'commit'].join(';\n'));
}

interface Event {
  readonly op: string;
  readonly old: TextRow | null;
  readonly new: TextRow | null;
}
type Transactions = ReadonlyMap<string, readonly Event[]>;

async function readLog(
  server: ServerConnection,
  database: string,
): Promise<Map<string, Transactions>> {
  const rows = await server.query(
    database,
    `select tab, op, old, new, (extract(epoch from pg_xact_commit_timestamp(xid)) * 1000000)::bigint::text as at
     from audit.log order by seq`,
  );
  const tables = new Map<string, Map<string, Event[]>>();
  for (const row of rows) {
    const transactions = tables.get(String(row['tab'])) ?? new Map<string, Event[]>();
    tables.set(String(row['tab']), transactions);
    const at = String(row['at']);
    const events = transactions.get(at) ?? [];
    transactions.set(at, events);
    events.push({
      op: String(row['op']),
      old: row['old'] as TextRow | null,
      new: row['new'] as TextRow | null,
    });
  }
  return tables;
}

interface Appended {
  readonly op: string;
  readonly unchanged: ReadonlySet<string>;
  readonly cells: TextRow;
}

interface History {
  readonly read: Map<string, Appended[]>;
  readonly snapshot: TextRow[];
}

const EVENT_FORMS = {
  postgres: `(extract(epoch from _forebay_committed_at) * 1000000)::bigint::text`,
  duckdb: `epoch_us(_forebay_committed_at)::varchar`,
} as const;

export type Reader = (sql: string) => Promise<readonly TextRow[]>;

async function readHistory(
  read: Reader,
  source: {
    readonly table: string;
    readonly columns: readonly ColumnOf[];
    readonly dialect: Dialect;
  },
): Promise<History> {
  const { table, columns, dialect } = source;
  const from = `public.${ident(table)} order by _forebay_position`;
  const select = selectTexts(columns, dialect, from).replace(
    /^select /,
    `select _forebay_op as o0, ${EVENT_FORMS[dialect]} as o1, _forebay_unchanged as o2, `,
  );
  const history: History = { read: new Map(), snapshot: [] };
  for (const [op, at, unchanged, ...row] of await read(select)) {
    if (op === 'r') {
      history.snapshot.push(row);
      continue;
    }
    const events = history.read.get(String(at)) ?? [];
    history.read.set(String(at), events);
    events.push({ op: op ?? '', unchanged: new Set(unchanged?.split(',') ?? []), cells: row });
  }
  return history;
}

/** The one form in which an event of the log and a row of the history are compared. */
function logForm(columns: readonly ColumnOf[], event: Event, appended: Appended): string {
  const { op } = event;
  const whole = op === 'd' ? event.old : event.new;
  if (whole === null) return op;
  const shown = whole.map((cell, i) => {
    // Left out on purpose, which may only be where the update left the value alone.
    const left = appended.unchanged.has(columns[i]?.name ?? '') && cell === event.old?.[i];
    const noKey = op === 'd' && appended.cells[i] === null;
    return left || noKey ? null : cell;
  });
  return `${op} ${rowText(columns, shown)}`;
}

function appendedForm(columns: readonly ColumnOf[], { op, cells: row }: Appended): string {
  return op === 't' ? op : `${op} ${rowText(columns, row)}`;
}

/** What the table held after these events. */
function stateAfter(columns: readonly ColumnOf[], events: Iterable<Event>): string[] {
  const counts = new Map<string, number>();
  const add = (row: TextRow | null, by: number): void => {
    if (row === null) return;
    const text = rowText(columns, row);
    counts.set(text, (counts.get(text) ?? 0) + by);
  };
  for (const event of events) {
    if (event.op === 't') counts.clear();
    add(event.old, -1);
    add(event.new, 1);
  }
  return [...counts].flatMap(([text, count]) => {
    assert.ok(count >= 0, `the log itself counts ${count} of ${text}`);
    return Array.from({ length: count }, () => text);
  });
}

/** Commit times of transactions that end at the same moment may stand in another order than their commits. */
const TOLERANCE_MICROS = 100_000n;

function compareTable(
  table: string,
  columns: readonly ColumnOf[],
  sides: { readonly log: Transactions; readonly history: History },
): void {
  const { log, history } = sides;
  const before: Event[] = [];
  const [first] = [...history.read.keys()].map(BigInt).toSorted((a, b) => (a < b ? -1 : 1));
  for (const [at, events] of log) {
    const appended = history.read.get(at);
    if (appended === undefined) {
      before.push(...events);
      const known = first === undefined || BigInt(at) < first + TOLERANCE_MICROS;
      assert.ok(
        known,
        `${table}: the transaction of ${at} is missing: ${JSON.stringify(events.slice(0, 2))}`,
      );
      continue;
    }
    assert.deepEqual(
      appended.map((one) => appendedForm(columns, one)).slice(0, events.length + 5),
      events.map((event, i) =>
        logForm(columns, event, appended[i] ?? { op: '', unchanged: new Set(), cells: [] }),
      ),
      `${table}: the transaction of ${at}`,
    );
  }
  for (const at of history.read.keys())
    assert.ok(log.has(at), `${table}: nothing was committed at ${at}`);
  assert.deepEqual(
    history.snapshot.map((row) => rowText(columns, row)).toSorted(),
    stateAfter(columns, before).toSorted(),
    `${table}: rows of the snapshot`,
  );
}

/** Fails with the first table whose history is not the log's. */
export async function expectHistory(
  source: { readonly server: ServerConnection; readonly database: string },
  destination: { readonly read: Reader; readonly dialect: Dialect },
): Promise<void> {
  const tables = await sourceColumns(source.server, source.database);
  const log = await readLog(source.server, source.database);
  for (const [table, columns] of tables) {
    // Not those that came or changed after the log was begun: it does not tell of their columns.
    const events = [...(log.get(table)?.values() ?? [])].flat();
    const widths = events.map((event) => (event.new ?? event.old)?.length ?? columns.length);
    if (events.length === 0 || widths.some((width) => width !== columns.length)) continue;
    const history = await readHistory(destination.read, {
      table,
      columns,
      dialect: destination.dialect,
    });
    compareTable(table, columns, { log: log.get(table) ?? new Map(), history });
  }
}
