/** Checked rows into silver as versions: each says from when to when it was the current one. */
import {
  type Applied,
  dataColumns,
  forgetOldChanges,
  recordChanges,
  sameKey,
  truncations,
} from './silver-apply.ts';
import type { SilverPlan } from './silver-plan.ts';
import { ownType } from './types.ts';
import { count, createTemporary, quote, quoteTable, type Warehouse } from './warehouse.ts';

/** One text for all values of a row, to tell whether a version says anything new. */
function content(plan: SilverPlan, alias: string): string {
  const parts = plan.columns.map(({ name }) => {
    const text = `CAST(${alias}.${quote(name)} AS text)`;
    return `coalesce(CAST(length(${text}) AS text) || ':' || ${text}, '-')`;
  });
  return `md5(${parts.join(` || ',' || `)})`;
}

/**
 * Everything that happened to the rows concerned, in order: the version that is current (0), events, and for each
 * truncation the end of every row.
 */
async function fillEvents(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly checked: string; readonly truncated: boolean },
): Promise<string> {
  const { checked, truncated } = given;
  const { dialect } = plan;
  const text = ownType(dialect, 'text');
  const events = await createTemporary(warehouse, '_forebay_events', [
    { name: '_forebay_n', type: ownType(dialect, 'int64') },
    { name: '_forebay_origin', type: text },
    { name: '_forebay_present', type: ownType(dialect, 'boolean') },
    { name: '_forebay_at', type: ownType(dialect, 'timestamptz') },
    { name: '_forebay_content', type: text },
    ...plan.key.map(({ name, type }) => ({ name, type })),
  ]);
  const keys = (alias: string): string =>
    plan.key.map(({ name }) => `${alias}.${quote(name)}`).join(', ');
  const counts = `NOT c._forebay_out AND NOT c._forebay_stale AND c._forebay_op <> 't'`;
  const concerned = truncated
    ? 'true'
    : `EXISTS (SELECT 1 FROM ${checked} c WHERE ${counts} AND ${sameKey(plan, 'c', 's')})`;
  await warehouse.execute(
    `INSERT INTO ${events}
     SELECT 0, 'version', true, s._forebay_valid_from, ${content(plan, 's')}, ${keys('s')}
     FROM ${quoteTable(plan.silver)} s WHERE s._forebay_is_current AND ${concerned}
     UNION ALL
     SELECT c._forebay_n, 'event', c._forebay_op IN ('r', 'i', 'u'), c._forebay_at, ${content(plan, 'c')}, ${keys('c')}
     FROM ${checked} c WHERE ${counts}`,
  );
  if (truncated) {
    await warehouse.execute(
      `INSERT INTO ${events}
       SELECT t._forebay_n, 'truncation', false, t._forebay_at, NULL, ${keys('k')}
       FROM ${checked} t CROSS JOIN (SELECT DISTINCT ${keys('e')} FROM ${events} e) k
       WHERE t._forebay_op = 't' AND NOT t._forebay_stale`,
    );
  }
  return events;
}

/** Events that make a difference, with the time at which the next one of the row does. */
async function fillVersions(
  warehouse: Warehouse,
  plan: SilverPlan,
  events: string,
): Promise<string> {
  const { dialect } = plan;
  const time = ownType(dialect, 'timestamptz');
  const keys = plan.key.map(({ name }) => quote(name)).join(', ');
  const versions = await createTemporary(warehouse, '_forebay_versions', [
    { name: '_forebay_n', type: ownType(dialect, 'int64') },
    { name: '_forebay_origin', type: ownType(dialect, 'text') },
    { name: '_forebay_present', type: ownType(dialect, 'boolean') },
    { name: '_forebay_at', type: time },
    { name: '_forebay_until', type: time },
    ...plan.key.map(({ name, type }) => ({ name, type })),
  ]);
  const before = `OVER (PARTITION BY ${keys} ORDER BY _forebay_n)`;
  await warehouse.execute(
    `INSERT INTO ${versions}
     SELECT _forebay_n, _forebay_origin, _forebay_present, _forebay_at, lead(_forebay_at) ${before}, ${keys}
     FROM (
       SELECT *, lag(_forebay_present) ${before} AS was_present, lag(_forebay_content) ${before} AS was
       FROM ${events}
     ) x
     WHERE CASE WHEN _forebay_present
       THEN NOT coalesce(was_present, false) OR was <> _forebay_content
       ELSE coalesce(was_present, _forebay_origin = 'event') END`,
  );
  return versions;
}

/** Returns how many records took effect; a row that is read again and says nothing new is none. */
export async function applyHistory(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: Applied,
): Promise<number> {
  const { checked, sequence, executionId } = given;
  const truncated = await truncations(warehouse, checked);
  const events = await fillEvents(warehouse, plan, { checked, truncated: truncated > 0 });
  const versions = await fillVersions(warehouse, plan, events);
  const silver = quoteTable(plan.silver);
  const ended = `v._forebay_origin = 'version' AND v._forebay_until IS NOT NULL`;
  const fresh = `FROM ${versions} v JOIN ${checked} c ON c._forebay_n = v._forebay_n
     WHERE v._forebay_origin = 'event' AND v._forebay_present`;
  await recordChanges(warehouse, plan, {
    select: `SELECT ${dataColumns(plan, 's')} FROM ${silver} s JOIN ${versions} v ON ${sameKey(plan, 'v', 's')}
        WHERE s._forebay_is_current AND ${ended}
      UNION ALL SELECT ${dataColumns(plan, 'c')} ${fresh}`,
    sequence,
  });
  await warehouse.execute(
    `UPDATE ${silver} SET _forebay_valid_to = v._forebay_until, _forebay_is_current = false
     FROM ${versions} v
     WHERE ${silver}._forebay_is_current AND ${ended}
       AND ${plan.key.map(({ name }) => `${silver}.${quote(name)} = v.${quote(name)}`).join(' AND ')}`,
  );
  const names = plan.columns.map(({ name }) => quote(name)).join(', ');
  await warehouse.execute(
    `INSERT INTO ${silver} (${names}, _forebay_position, _forebay_execution_id,
       _forebay_valid_from, _forebay_valid_to, _forebay_is_current)
     SELECT ${dataColumns(plan, 'c')}, c._forebay_position, CAST($1 AS text),
       v._forebay_at, v._forebay_until, v._forebay_until IS NULL ${fresh}`,
    [executionId],
  );
  await forgetOldChanges(warehouse, plan, sequence);
  const effective = await count(
    warehouse,
    `SELECT count(*) AS n FROM ${versions} WHERE _forebay_origin = 'event'`,
  );
  return truncated + effective;
}
