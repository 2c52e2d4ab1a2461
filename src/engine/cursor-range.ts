/** Reading of a table's rows by a range of one column. Pure. */
import { ForebayError } from '../core/errors.ts';
import type { Predicate, Projection } from '../core/projection.ts';
import { streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { CursorRange } from './pipeline.ts';

/** The rows as they are. Fails with `column_missing`. */
export function rangeProjection(schema: StreamSchema, range: CursorRange): Projection {
  const column = schema.columns.findIndex(({ name }) => name === range.column);
  const stream = streamId(schema.stream);
  if (column < 0) {
    throw new ForebayError('column_missing', {
      message: `${stream} has no column ${range.column} to read it by`,
      stream,
    });
  }
  const bound = (operator: '>=' | '<', text: string | null): readonly Predicate[] =>
    text === null ? [] : [{ kind: 'value', column, operator, text }];
  const parts = [...bound('>=', range.from), ...bound('<', range.to)];
  return {
    schema,
    columns: schema.columns.map((_, index) => ({ kind: 'column', column: index })),
    where: parts.length === 0 ? null : whereOf(column, parts, range.withNulls === true),
  };
}

function whereOf(column: number, parts: readonly Predicate[], withNulls: boolean): Predicate {
  const within: Predicate = { kind: 'and', parts };
  return withNulls ? { kind: 'or', parts: [{ kind: 'is-null', column }, within] } : within;
}
