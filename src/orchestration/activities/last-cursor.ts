/** The last value of a cursor column that an execution landed, less the time that is looked back. */
import { ForebayError } from '../../core/errors.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import { quote, quoteTable, type TableName, type Warehouse } from '../../layers/warehouse.ts';

export interface CursorQuestion {
  readonly table: TableName;
  readonly schema: StreamSchema;
  readonly column: string;
  readonly executionId: string;
  /** Rows that were committed late, with a value from before: so far back is read again. */
  readonly lookbackSeconds: number;
}

/** Null where it landed no row with a value. */
export async function lastCursor(
  warehouse: Warehouse,
  question: CursorQuestion,
): Promise<string | null> {
  const { table, schema, column, executionId, lookbackSeconds } = question;
  const kind = schema.columns.find(({ name }) => name === column)?.type.kind;
  const looksBack = lookbackSeconds > 0;
  if (looksBack && kind !== 'timestamp') {
    throw new ForebayError('request_unprocessable', {
      message: `lookback_seconds needs a cursor column with a time, and ${column} has none`,
      stream: streamId(schema.stream),
    });
  }
  const last = `max(${quote(column)})`;
  const from = looksBack ? `${last} - INTERVAL '${Math.trunc(lookbackSeconds)} seconds'` : last;
  const rows = await warehouse.query(
    `SELECT CAST(${from} AS text) AS position FROM ${quoteTable(table)}
     WHERE _forebay_execution_id = $1`,
    [executionId],
  );
  return rows[0]?.['position'] ?? null;
}
