import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openMetadata } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-metadata-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a metadata file', () => {
  const path = join(folder, 'forebay.db');

  it('is made, brought to this release once, and opened again', async () => {
    for (let turn = 0; turn < 2; turn += 1) {
      await using metadata = await openMetadata({ kind: 'sqlite', path });
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const names = await metadata.db.introspection.getTables();
      expect(names.length).toBeGreaterThan(20);
    }
  });

  it('takes transactions one after the other', async () => {
    await using metadata = await openMetadata({ kind: 'sqlite', path });
    const add = (name: string): Promise<unknown> =>
      metadata.db.transaction().execute(async (transaction) => {
        const before = await transaction.selectFrom('organizations').selectAll().execute();
        await Promise.resolve();
        await transaction
          .insertInto('organizations')
          .values({ id: name, name: `${name} ${before.length}`, created_at: '' })
          .execute();
      });
    await Promise.all(['a', 'b', 'c'].map(add));
    const rows = await metadata.db.selectFrom('organizations').select('name').execute();
    expect(rows.map(({ name }) => name)).toEqual(['a 0', 'b 1', 'c 2']);
  });

  it('of a newer release, and one that is no database, are refused as what they are', async () => {
    {
      await using metadata = await openMetadata({ kind: 'sqlite', path });
      await metadata.db
        .insertInto('forebay_migrations' as never)
        .values({ name: '9999-later', applied_at: '' })
        .execute();
    }
    await expect(openMetadata({ kind: 'sqlite', path })).rejects.toMatchObject({
      code: 'metadata_newer',
    });
    const other = join(folder, 'other.db');
    writeFileSync(other, 'this is no database, whatever its name says'.repeat(100));
    await expect(openMetadata({ kind: 'sqlite', path: other })).rejects.toMatchObject({
      code: 'metadata_unreadable',
    });
  });
});
