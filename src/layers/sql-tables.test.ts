import { describe, expect, it } from 'vitest';
import { sqlQueryFlaw } from './sql-statement.ts';
import { tableReferences } from './sql-tables.ts';

const tables = (sql: string): string[] => tableReferences(sql).map(({ parts }) => parts.join('.'));

describe('tables of a query', () => {
  it.each([
    ['SELECT * FROM orders', ['orders']],
    [
      'select a, b from silver.orders o, "Cust omers" c where o.id = c.id',
      ['silver.orders', 'Cust omers'],
    ],
    [
      'SELECT 1 FROM a JOIN b ON a.x = b.x, c LEFT JOIN LATERAL (SELECT * FROM d) e ON true',
      ['a', 'b', 'c', 'd'],
    ],
    ['SELECT * FROM (a JOIN "b""c" USING (id)) x', ['a', 'b"c']],
    [
      "SELECT 'from x', E'it\\'s from y', $$ from z $$, $q$ from $$ w $q$ FROM t -- from u\n/* from /* v */ from w */",
      ['t'],
    ],
    ['SELECT extract(year FROM ts), trim(both FROM n), substring(s FROM 2) FROM t', ['t']],
    ['SELECT a IS DISTINCT FROM b, a IS NOT DISTINCT FROM c FROM t', ['t']],
    ['SELECT * FROM generate_series(1, 2) g, unnest(x) u, t', ['t']],
    ['WITH a AS (SELECT * FROM b), c AS (SELECT * FROM a) SELECT * FROM c, d', ['b', 'd']],
    ['WITH orders AS (SELECT * FROM orders) SELECT * FROM orders', ['orders']],
    [
      'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t JOIN u USING (n)',
      ['u'],
    ],
    ['WITH a AS NOT MATERIALIZED (SELECT 1) SELECT * FROM public.a', ['public.a']],
    [
      'SELECT (SELECT max(x) FROM b) FROM a WHERE EXISTS (SELECT 1 FROM c) ORDER BY x, y',
      ['b', 'a', 'c'],
    ],
    ['SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x JOIN a ON true', ['a']],
    ['(SELECT * FROM a) UNION ALL (SELECT * FROM b)', ['a', 'b']],
    ['FROM a SELECT b, c', ['a']],
    ['TABLE a', ['a']],
    ['SELECT count(*) FILTER (WHERE x), y FROM Orders GROUP BY 1, 2', ['orders']],
    ['VALUES (1, 2)', []],
  ])('%s', (sql, expected) => {
    expect(tables(sql)).toEqual(expected);
  });

  it('tells where a name stands', () => {
    const sql = 'SELECT * FROM  silver . "Orders" o';
    expect(tableReferences(sql).map(({ start, end }) => sql.slice(start, end))).toEqual([
      'silver . "Orders"',
    ]);
  });
});

describe('a query', () => {
  it.each([
    ['SELECT 1; SELECT 2', 'it holds more than one statement'],
    ['SELECT (1', 'a parenthesis is not closed'],
    ['SELECT 1)', 'a parenthesis is closed that was not opened'],
    ["SELECT 'a", 'a string is never closed'],
    ['DROP TABLE a', 'it is no query: it begins neither with SELECT nor with WITH'],
    [
      'WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a',
      'it changes data: a model only reads',
    ],
    ['-- nothing', 'it has no SQL'],
  ])('%s is refused', (sql, message) => {
    expect(sqlQueryFlaw(sql)).toMatchObject({ message });
  });

  it.each(['SELECT 1', "WITH a AS (SELECT ';' AS x) SELECT * FROM a", '(SELECT 1)'])(
    '%s',
    (sql) => {
      expect(sqlQueryFlaw(sql)).toBeNull();
    },
  );
});
