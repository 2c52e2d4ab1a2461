/** Which bytes of a cell are its value. Two systems may write the same value with other bytes around it. */
import type { CellEncoding, LogicalType } from '../core/value.ts';

/** All bytes count. */
export const FORM_BYTES = 0;
/** Binary decimal whose display scale says nothing: the column's type fixes it, wider columns show it wider. */
export const FORM_DECIMAL = 1;
/** Binary float: every NaN is the same value; 0 and -0 are two. */
export const FORM_FLOAT = 2;
/** Binary array: the flag for NULLs may be set without any, and the element's type id belongs to one server. */
export const FORM_ARRAY = 3;

/** Form of a column's cells, and of the elements where the cells are arrays. */
export interface CellForm {
  readonly form: number;
  readonly element: number;
}

function scalarForm(type: LogicalType): number {
  if (type.kind === 'float') return FORM_FLOAT;
  return type.kind === 'decimal' && type.scale !== null ? FORM_DECIMAL : FORM_BYTES;
}

/** Text cells, JSON among them, are compared as the text that they are. Pure. */
export function canonicalForm(type: LogicalType, encoding: CellEncoding): CellForm {
  if (encoding === 'text') return { form: FORM_BYTES, element: FORM_BYTES };
  if (type.kind === 'array') return { form: FORM_ARRAY, element: scalarForm(type.element) };
  return { form: scalarForm(type), element: FORM_BYTES };
}
