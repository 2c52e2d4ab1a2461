import { describe, expect, it } from 'vitest';
import { databasePath, parseAddress } from './config.ts';
import { duckdbError } from './errors.ts';
import { chooseColumnType, columnTakes, parseColumnType, printColumnType } from './types.ts';

describe('addresses', () => {
  it('name a file by its path, however it is written', () => {
    const address = parseAddress('duckdb:some/../data/shop.duckdb');
    expect(address.label).toBe('shop');
    expect(address.identity).toBe(parseAddress('duckdb:./data/shop.duckdb').identity);
    expect(databasePath(address).endsWith('/data/shop.duckdb')).toBe(true);
    expect(databasePath(parseAddress('duckdb::memory:'))).toBe(':memory:');
  });

  it.each(['duckdb:', 'duckdb:dir/', 'duckdb://host/x', 'other:x'])('refuse %s', (url) => {
    expect(() => parseAddress(url)).toThrow(expect.objectContaining({ code: 'invalid_url' }));
  });
});

describe('errors', () => {
  it('have codes, and hold no values of rows', () => {
    const unique = new Error(
      'Constraint Error: Duplicate key "name: Jane Doe" violates primary key constraint',
    );
    const error = duckdbError(unique, 'public.people');
    expect(error.code).toBe('constraint_violated');
    expect(`${error.message} ${error.why ?? ''} ${error.fix}`).not.toContain('Jane');
    const odd = duckdbError(new Error('Invalid Input Error: value "Jane Doe" is odd'), 'people');
    expect(odd).toMatchObject({ code: 'internal', systemCode: 'Invalid Input Error' });
    expect(odd.message).not.toContain('Jane');
  });

  it.each([
    [
      'IO Error: Could not set lock on file "/x": Conflicting lock is held in /usr/bin/node (PID 42).',
      'file_locked',
    ],
    ['IO Error: Could not write file "/x": No space left on device', 'disk_full'],
    [
      'IO Error: The file "/x" exists, but it is not a valid DuckDB database file!',
      'database_damaged',
    ],
    ['TransactionContext Error: Conflict on update!', 'conflict'],
  ])('%s', (message, code) => {
    expect(duckdbError(new Error(message), '/x').code).toBe(code);
  });
});

describe('types', () => {
  it.each([
    'INTEGER',
    'UBIGINT',
    'DECIMAL(12,2)',
    'VARCHAR[][]',
    'TIMESTAMP WITH TIME ZONE',
    'JSON',
    'MAP(INTEGER, VARCHAR)',
  ])('are read as the catalog prints them: %s', (sql) => {
    expect(printColumnType(parseColumnType(sql))).toBe(sql);
  });

  it('of our own making take what they were made for', () => {
    const type = {
      kind: 'array',
      element: { kind: 'decimal', precision: 40, scale: 2 },
      dimensions: 2,
    } as const;
    expect(printColumnType(chooseColumnType(type))).toBe('VARCHAR[][]');
    expect(columnTakes(chooseColumnType(type), type)).toBe(true);
    expect(columnTakes(parseColumnType('INTEGER'), { kind: 'int', bits: 64 })).toBe(false);
    expect(
      columnTakes(parseColumnType('DECIMAL(10,2)'), { kind: 'decimal', precision: 9, scale: 3 }),
    ).toBe(false);
  });
});
