import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { DATE_CODES } from './configuration/dead-letters.ts';
import { dateName } from './date-name.ts';
import { DeadLetterFile } from './dead-letter-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-letters-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every date code that the rules allow has a value', () => {
  const at = new Date('2026-02-03T04:05:06.007Z');
  expect(dateName('%Y-%m-%d %H:%M:%S.%L %j %y %F %s %z %%', at)).toBe(
    '2026-02-03 04:05:06.007 034 26 2026-02-03 1770091506 +0000 %',
  );
  for (const code of DATE_CODES) expect(dateName(`%${code}`, at)).not.toContain('%');
});

test('lines by date, appended, in order of the writes', async () => {
  let now = new Date('2026-01-01T23:59:59Z');
  const options = { pattern: 'dead/%Y-%m-%d.jsonl', folder, now: () => now };
  await using file = new DeadLetterFile(options);
  await Promise.all([file.write([{ id: 1 }, { id: 2 }]), file.write([{ id: 3 }]), file.write([])]);
  now = new Date('2026-01-02T00:00:00Z');
  await file.write([{ id: 4, text: 'a\nb' }]);
  const read = (name: string): string => readFileSync(join(folder, 'dead', name), 'utf8');
  expect(read('2026-01-01.jsonl')).toBe('{"id":1}\n{"id":2}\n{"id":3}\n');
  expect(read('2026-01-02.jsonl')).toBe('{"id":4,"text":"a\\nb"}\n');
});

test('what cannot be written is told with its path; the next write tries again', async () => {
  writeFileSync(join(folder, 'taken'), '');
  let pattern = 'taken/a.jsonl';
  await using file = new DeadLetterFile({
    get pattern() {
      return pattern;
    },
    folder,
  });
  await expect(file.write([{ id: 1 }])).rejects.toMatchObject({ code: 'dead_letter_file' });
  pattern = 'free/a.jsonl';
  await file.write([{ id: 1 }]);
  expect(readFileSync(join(folder, 'free', 'a.jsonl'), 'utf8')).toBe('{"id":1}\n');
});

test('a full disk is told as that, and leaves no torn line', async () => {
  await using file = new DeadLetterFile({ pattern: '/dev/full', folder: '/' });
  await expect(file.write([{ id: 1 }])).rejects.toMatchObject({ code: 'disk_full' });
});
