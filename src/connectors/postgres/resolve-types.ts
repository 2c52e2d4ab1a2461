import type { LogicalType } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { logicalType } from './types.ts';

/** Types by object id and modifier, in the order given; domains are followed to their base. */
const TYPES_SQL = `
WITH RECURSIVE asked AS (
  SELECT a.place, a.oid, a.typmod
  FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int4[])) WITH ORDINALITY AS a(oid, typmod, place)
), root AS (
  SELECT place, oid, typmod, 0 AS ndims FROM asked
  UNION ALL
  SELECT r.place, t.typbasetype, CASE WHEN r.typmod >= 0 THEN r.typmod ELSE t.typtypmod END, t.typndims
  FROM root r JOIN pg_catalog.pg_type t ON t.oid = r.oid WHERE t.typtype = 'd'
)
SELECT pg_catalog.format_type(a.oid, a.typmod), t.oid::text, r.typmod::text, t.typtype, ps.prosrc,
  e.oid::text, e.typtype, es.prosrc
FROM asked a
LEFT JOIN root r ON r.place = a.place
JOIN pg_catalog.pg_type t ON t.oid = r.oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_proc ps ON ps.oid = t.typsend
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid AND e.typdelim = ','
LEFT JOIN pg_catalog.pg_proc es ON es.oid = e.typsend
ORDER BY a.place`;

export interface ResolvedType {
  readonly native: string;
  readonly logical: LogicalType;
}

/**
 * Null for a type that is gone from the catalog. Declared array dimensions are not part of a type: 1 is assumed.
 */
export async function resolveTypes(
  connection: PgConnection,
  types: readonly { readonly typeOid: number; readonly typmod: number }[],
): Promise<(ResolvedType | null)[]> {
  const oids = `{${types.map((type) => type.typeOid).join(',')}}`;
  const typmods = `{${types.map((type) => type.typmod).join(',')}}`;
  const { rows } = await connection.query(TYPES_SQL, [oids, typmods]);
  if (rows.length !== types.length) return types.map(() => null);
  return rows.map(([native, oid, typmod, kind, send, elementOid, elementKind, elementSend]) => {
    const scalar = {
      oid: Number(oid),
      typmod: Number(typmod),
      kind: kind ?? 'b',
      sendFunction: send ?? '',
    };
    const element =
      elementOid === null || elementOid === undefined
        ? null
        : {
            oid: Number(elementOid),
            typmod: Number(typmod),
            kind: elementKind ?? 'b',
            sendFunction: elementSend ?? '',
            dimensions: 0,
          };
    return {
      native: native ?? '',
      logical: logicalType({ ...scalar, element, dimensions: 1 }),
    };
  });
}
