/** `dead_letter_destination`: a table, files by date, or a system. Pure. */
import { nearest } from '../../connectors/nearest.ts';

export type DeadLetterDestination =
  | { readonly kind: 'table'; readonly schema: string | null; readonly table: string }
  /** Pattern of a file name with date codes; relative to the configuration file. */
  | { readonly kind: 'file'; readonly pattern: string }
  /** URL, `env:NAME` or `@name`, as on the command line. */
  | { readonly kind: 'system'; readonly system: string };

export type ReadDeadLetters =
  | { readonly destination: DeadLetterDestination; readonly flaw: null }
  | {
      readonly destination: null;
      readonly flaw: { readonly message: string; readonly fix: string };
    };

const SYSTEMS = [
  'postgres',
  'postgresql',
  'mysql',
  'mongodb',
  'mongodb+srv',
  'cosmosdb',
  'oracle',
  'sqlserver',
  'duckdb',
  'sqlite',
  's3',
  'gs',
  'snowflake',
  'bigquery',
  'databricks',
  'https',
  'http',
  'singer',
  'env',
];

/** Codes of strftime that name a date or time without spaces or slashes. */
export const DATE_CODES = 'YmdHMSjyFLsz';

function refuse(message: string, fix: string): ReadDeadLetters {
  return { destination: null, flaw: { message, fix } };
}

function readFile(pattern: string): ReadDeadLetters {
  const wrong = [...pattern.matchAll(/%(.?)/gs)].find(
    ([, code = '']) => code !== '%' && (code === '' || !DATE_CODES.includes(code)),
  );
  if (pattern === '' || pattern.endsWith('/')) {
    return refuse('file: names no file', 'Write e.g. file:dead/%Y-%m-%d.jsonl.');
  }
  if (wrong !== undefined) {
    const codes = Array.from(DATE_CODES, (code) => `%${code}`).join(', ');
    return refuse(
      `${JSON.stringify(wrong[0])} is no date code`,
      `Known codes: ${codes}; write % itself as %%.`,
    );
  }
  return { destination: { kind: 'file', pattern }, flaw: null };
}

function readTable(name: string): ReadDeadLetters {
  const parts = name.split('.');
  if (parts.length > 2 || parts.some((part) => part.trim() === '')) {
    return refuse('table: needs the name of a table', 'Write e.g. table:_forebay.dead_letters.');
  }
  const [first = '', second] = parts;
  const table = second ?? first;
  const schema = second === undefined ? null : first;
  return { destination: { kind: 'table', schema, table }, flaw: null };
}

export function readDeadLetters(text: string): ReadDeadLetters {
  const [, kind, rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text) ?? [];
  if (kind === 'table') return readTable(rest);
  if (kind === 'file') return readFile(rest);
  const isStored = /^@[\w.-]+$/.test(text);
  if (isStored || (kind !== undefined && rest !== '' && SYSTEMS.includes(kind.toLowerCase()))) {
    return { destination: { kind: 'system', system: text }, flaw: null };
  }
  const meant = kind === undefined ? null : nearest(kind, ['table', 'file', ...SYSTEMS]);
  return refuse(
    'this is neither a table, nor a file, nor a system',
    `${meant === null || meant === kind ? '' : `Did you mean ${meant}:? `}Write table:schema.name, file:dead/%Y-%m-%d.jsonl or the URL of a system.`,
  );
}
