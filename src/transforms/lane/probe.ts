/** Which fields a transformation gives, found out with a document whose every value tells its column. */
import type { Column, StreamSchema } from '../../core/stream-schema.ts';
import type { LogicalType } from '../../core/value.ts';
import type { Outcome } from '../document-transform.ts';
import { cellToJson } from './cell-json.ts';
import { eachField } from './fields.ts';
import type { JsonKind, JsonSpan } from './json-members.ts';
import { pathOf } from './lane-shape.ts';

export interface ProbedField {
  readonly path: readonly string[];
  readonly kind: JsonKind;
  /** The source's column that it has the value of, unchanged. */
  readonly column: Column | null;
}

const DAY_MS = 86_400_000;
const FIRST_DAY_MS = Date.UTC(2001, 0, 1);

const digits = (value: number, width: number): string => String(value).padStart(width, '0');

/** A text that the type has and no other column of the probe: the transformation may look closely. */
function probeText(type: LogicalType, index: number): string {
  switch (type.kind) {
    case 'boolean':
      return 't';
    case 'int':
      return type.bits === 16 ? String(31_000 + (index % 1700)) : String(1_234_500_000 + index);
    case 'decimal':
      return type.scale === 0 ? String(71_000 + index) : `${71_000 + index}.5`;
    case 'float':
      return `${81_000 + index}.25`;
    case 'bytes':
      return `\\xfb${digits(index, 6)}`;
    case 'date':
      return new Date(FIRST_DAY_MS + index * DAY_MS).toISOString().slice(0, 10);
    case 'time':
      return `07:${digits(Math.floor(index / 60) % 60, 2)}:${digits(index % 60, 2)}.000137`;
    case 'timestamp': {
      const day = new Date(FIRST_DAY_MS + index * DAY_MS).toISOString().slice(0, 10);
      return `${day} 07:08:09.000137${type.zoned ? '+00' : ''}`;
    }
    case 'interval':
      return `${index + 2} days`;
    case 'uuid':
      return `7f3a5c1e-0b2d-4e6f-8a9b-${digits(index, 12)}`;
    case 'json':
      return `{"probe":${71_000 + index}}`;
    case 'array': {
      const element = probeText(type.element, index);
      const quoted = `"${element.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
      return `${'{'.repeat(type.dimensions)}${quoted}${'}'.repeat(type.dimensions)}`;
    }
    case 'text':
    case 'other':
      return `forebay probe ${index}`;
  }
}

/** Spaces and escapes say nothing; a number is the one it was if its digits are. */
function canonical(json: string): string {
  return /^["{[]/.test(json) ? JSON.stringify(JSON.parse(json)) : json;
}

export interface Probe {
  readonly json: string;
  /** Null where the outcome is no document: nothing is known of the fields. */
  readonly fieldsOf: (outcome: Outcome, flatten: boolean) => readonly ProbedField[] | null;
}

export function probeOf(schema: StreamSchema): Probe {
  const values = schema.columns.map(({ type }, index) => cellToJson(type, probeText(type, index)));
  const members = schema.columns.map(
    ({ name }, index) => `${JSON.stringify(name)}:${values[index] ?? 'null'}`,
  );
  const told = values.map(canonical);
  const columnOf = (id: string, value: string): Column | null => {
    const holders = schema.columns.filter((_, index) => told[index] === value);
    const named = holders.find(({ name }) => name === id);
    // There are only two booleans: one of another name may be anything.
    const others = holders.filter(({ type }) => type.kind !== 'boolean');
    return named ?? others[0] ?? null;
  };
  return {
    json: `{${members.join(',')}}`,
    fieldsOf: (outcome, flatten) => {
      if (outcome.kind !== 'document') return null;
      const { json } = outcome;
      const text = ({ start, end }: JsonSpan): string => canonical(json.slice(start, end));
      const fields = new Map<string, ProbedField>();
      const isObject = eachField(
        json,
        (id, span) => flatten && columnOf(id, text(span)) === null,
        (id, span) => {
          const column = span.kind === 'null' ? null : columnOf(id, text(span));
          fields.set(id, { path: pathOf(id), kind: span.kind, column });
        },
      );
      return isObject ? [...fields.values()] : null;
    },
  };
}
