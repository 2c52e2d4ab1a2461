import { expect, test } from 'vitest';
import { withoutValues } from './errors.ts';

test.each([
  ['22P02', 'invalid input syntax for type integer: "x"', 'invalid input syntax for type integer'],
  ['22P02', 'invalid input value for enum mood: "a "b""', 'invalid input value for enum mood'],
  [
    '22003',
    'value "99999999999" is out of range for type integer',
    'value is out of range for type integer',
  ],
  ['22003', 'numeric field overflow', 'numeric field overflow'],
  ['22007', 'invalid value "Jxn" for "Mon"', 'invalid value'],
  [
    '22008',
    'date/time field value out of range: "2020-13-45\n"',
    'date/time field value out of range',
  ],
  [
    '22021',
    'invalid byte sequence for encoding "UTF8": 0xe9 0x62',
    'invalid byte sequence for encoding',
  ],
  [
    '23505',
    'duplicate key value violates unique constraint "k"',
    'duplicate key value violates unique constraint "k"',
  ],
  ['42P01', 'relation "t" does not exist', 'relation "t" does not exist'],
])('of a message of state %s values are cut: %s', (sqlState, message, left) => {
  expect(withoutValues({ sqlState, message, routine: 'ExecConstraints' })).toBe(left);
});

test.each(['23514', 'P0001'])('what a function raises (%s) is not passed on', (sqlState) => {
  const error = { sqlState, message: 'no row like 4711', routine: 'exec_stmt_raise' };
  expect(withoutValues(error)).not.toContain('4711');
});
