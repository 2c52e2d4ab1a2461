/** How a column's cells get into their destination column: directly, or through a stage and a cast. */
import { ForebayError } from '../../core/errors.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding, LogicalType } from '../../core/value.ts';
import { type EncodeColumn, FORM_ARRAY, FORM_JSONB, FORM_VERBATIM } from './copy-encode.ts';
import { quoteIdent, quoteName } from './sql.ts';
import type { ExistingColumn, ExistingTable } from './target-table.ts';
import { builtinType, takesText } from './target-types.ts';

export interface CellPath {
  readonly name: string;
  /** Name of the column in a stage; the same for the same place in the schema. */
  readonly stageName: string;
  /** Type of the stage's column. */
  readonly stageType: string;
  /** The cell's bytes, as encoded, are the destination column's binary form. */
  readonly direct: boolean;
  readonly encode: EncodeColumn;
  readonly target: ExistingColumn;
}

type Form = Pick<EncodeColumn, 'form' | 'elementOid'>;
const VERBATIM: Form = { form: FORM_VERBATIM, elementOid: 0 };

function isTextual(type: LogicalType, encoding: CellEncoding): boolean {
  return (
    encoding === 'text' || type.kind === 'text' || type.kind === 'json' || type.kind === 'other'
  );
}

function directForm(
  type: LogicalType,
  encoding: CellEncoding,
  target: ExistingColumn,
): Form | null {
  if (isTextual(type, encoding)) {
    if (takesText(target.receive)) return VERBATIM;
    return target.receive === 'jsonb_recv' ? { form: FORM_JSONB, elementOid: 0 } : null;
  }
  if (type.kind === 'array') {
    const element = builtinType(type.element);
    const sameElement =
      element?.receive === target.elementReceive ||
      (type.element.kind === 'text' && takesText(target.elementReceive));
    return sameElement ? { form: FORM_ARRAY, elementOid: target.elementOid } : null;
  }
  return builtinType(type)?.receive === target.receive ? VERBATIM : null;
}

/** The built-in type that takes the cell when the destination column does not. */
function stagedForm(type: LogicalType, encoding: CellEncoding): Form & { readonly type: string } {
  if (isTextual(type, encoding)) return { ...VERBATIM, type: 'text' };
  if (type.kind === 'array') {
    const element = builtinType(type.element);
    return {
      form: FORM_ARRAY,
      elementOid: element?.oid ?? 25,
      type: `${element?.name ?? 'text'}[]`,
    };
  }
  return { ...VERBATIM, type: builtinType(type)?.name ?? 'text' };
}

export function cellPath(
  schema: StreamSchema,
  column: number,
  encoding: CellEncoding,
  target: ExistingColumn,
): CellPath {
  const type: LogicalType = schema.columns[column]?.type ?? { kind: 'other' };
  const common = { name: target.name, stageName: `c${column}`, target };
  const direct = directForm(type, encoding, target);
  if (direct !== null) {
    return { ...common, direct: true, stageType: target.bare, encode: { column, ...direct } };
  }
  const { type: stageType, form, elementOid } = stagedForm(type, encoding);
  return { ...common, direct: false, stageType, encode: { column, form, elementOid } };
}

/** The staged value in the destination column's type (its base type without length). */
export function stagedValue(path: CellPath, alias: string): string {
  const staged = `${alias}.${path.stageName}`;
  return path.stageType === path.target.bare ? staged : `${staged}::${path.target.bare}`;
}

export function columnList(paths: readonly CellPath[]): string {
  return paths.map((path) => quoteIdent(path.name)).join(', ');
}

/** Paths of all columns of a schema, under the encodings of a batch. */
export function cellPaths(
  schema: StreamSchema,
  encodings: RowBatch['encodings'],
  table: ExistingTable,
): readonly CellPath[] {
  return schema.columns.map((column, index) => {
    const target = table.columns.get(column.name);
    if (target === undefined) {
      throw new ForebayError('destination_incompatible', {
        message: `column ${column.name} is missing in ${quoteName(table.name)}`,
        fix: `Add the column to ${quoteName(table.name)}, or drop the table so that it is made anew.`,
      });
    }
    return cellPath(schema, index, encodings[index] ?? 'text', target);
  });
}
