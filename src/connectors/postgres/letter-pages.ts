/** Dead letters as an index keeps them: page by page, without values of their rows. */
import type { LetterPage, LetterRange } from '../../core/dead-letter.ts';
import type { PgConnection } from './connection.ts';
import type { Refusal } from './dead-letters.ts';
import { hasMetadata } from './metadata.ts';

/** Names of conditions (PostgreSQL documentation, appendix A) that a row can raise. */
const CONDITIONS: Readonly<Record<string, string>> = {
  '22001': 'string_data_right_truncation',
  '22003': 'numeric_value_out_of_range',
  '22007': 'invalid_datetime_format',
  '22008': 'datetime_field_overflow',
  '22021': 'character_not_in_repertoire',
  '22023': 'invalid_parameter_value',
  '22030': 'duplicate_json_object_key_value',
  '22032': 'invalid_json_text',
  '2200N': 'invalid_xml_content',
  '22P02': 'invalid_text_representation',
  '22P03': 'invalid_binary_representation',
  '22P05': 'untranslatable_character',
  '23000': 'integrity_constraint_violation',
  '23001': 'restrict_violation',
  '23502': 'not_null_violation',
  '23503': 'foreign_key_violation',
  '23505': 'unique_violation',
  '23514': 'check_violation',
  '23P01': 'exclusion_violation',
};

function reasonOf(refusal: Refusal | null, transformation: string | null): string {
  if (transformation !== null) return `the transformation ${transformation} rejected the row`;
  if (refusal === null) return 'the destination refused the row';
  const { state, by } = refusal;
  const condition = CONDITIONS[state];
  const name = condition === undefined ? `SQLSTATE ${state}` : `${condition} (${state})`;
  return by === null ? name : `${name}, ${by}`;
}

export async function letterPage(
  connection: PgConnection,
  { pipelines, stream, ids, openOnly, after, limit }: LetterRange,
): Promise<LetterPage> {
  if (!(await hasMetadata(connection))) return { letters: [], next: null };
  // Ids sort in the order of rejection.
  const { rows } = await connection.query(
    `SELECT id, stream, code, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       replayed_at IS NULL AND superseded_at IS NULL, plan -> 'refusal', plan -> 'transformation' ->> 'id'
     FROM _forebay.dead_letters
     WHERE EXISTS (SELECT FROM jsonb_array_elements_text($1::jsonb) AS f (name)
         WHERE pipeline = f.name OR left(pipeline, length(f.name) + 1) = f.name || '_')
       AND ($2::text IS NULL OR stream = $2)
       AND ($3::jsonb IS NULL OR id IN (SELECT jsonb_array_elements_text($3::jsonb)))
       AND ($4::bool IS FALSE OR (replayed_at IS NULL AND superseded_at IS NULL))
       AND ($5::text IS NULL OR id > $5)
     ORDER BY id LIMIT $6::bigint`,
    [
      JSON.stringify(pipelines),
      stream,
      ids === null ? null : JSON.stringify(ids),
      String(openOnly),
      after,
      String(limit),
    ],
  );
  const letters = rows.map(([id, of, code, at, isOpen, refusal, transformation]) => ({
    id: id ?? '',
    stream: of ?? '',
    code: code ?? '',
    // Written by us.
    reason: reasonOf(JSON.parse(refusal ?? 'null') as Refusal | null, transformation ?? null),
    at: at ?? '',
    isOpen: isOpen === 't',
  }));
  return { letters, next: letters.length < limit ? null : (letters.at(-1)?.id ?? null) };
}
