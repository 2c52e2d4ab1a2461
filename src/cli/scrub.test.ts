import { expect, test } from 'vitest';

import { scrubSecrets } from './scrub.ts';

test.each([
  ['postgres://ada:hunter2@host/db', 'postgres://ada:[secret]@host/db'],
  ['at postgres://ada:p@ss/w:rd@host:5432/db now', 'at postgres://ada:[secret]@host:5432/db now'],
  ['postgres://:hunter2@host', 'postgres://:[secret]@host'],
  ['host=x password=hunter2 user=ada', 'host=x password=[secret] user=ada'],
  ['write postgres://user:password@host/db', 'write postgres://user:password@host/db'],
  ['postgres://ada:password@host/db', 'postgres://ada:[secret]@host/db'],
  ['postgres://ada@host/db', 'postgres://ada@host/db'],
  ['https://example.com/a:b', 'https://example.com/a:b'],
])('scrubSecrets(%j)', (text, clean) => {
  expect(scrubSecrets(text)).toBe(clean);
});
