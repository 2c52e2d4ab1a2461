import { fork } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { describe, expect, it } from 'vitest';
import { connector } from '../../src/connectors/duckdb/connector.ts';
import { parseAddress } from '../../src/connectors/duckdb/config.ts';
import { ACT_INSERT } from '../../src/core/folded-rows.ts';
import { OP_INSERT } from '../../src/core/row-batch.ts';
import { SlabPool } from '../../src/core/slab.ts';
import { rowBatch, streamSchema, streamTarget } from '../support/batches.ts';
import { applyRows, duckdbFixture, keyedRows } from '../support/duckdb-fixture.ts';

const orders = streamSchema({ id: { kind: 'int', bits: 64 }, name: { kind: 'text' } });

const context = {
  signal: new AbortController().signal,
  slabs: new SlabPool(1),
  memoryBytes: 1,
  options: {},
  notice: () => {},
};

async function openPath(path: string) {
  const opened = await connector.openDestination?.(parseAddress(`duckdb:${path}`), context);
  if (opened === undefined) throw new TypeError('no destination');
  return opened;
}

/** The file as if another version had written it: the number and the header's checksum. */
function ofFormat(good: Buffer, version: number): Buffer {
  const file = Buffer.from(good);
  file.writeBigUInt64LE(BigInt(version), 12);
  let checksum = 5381n;
  for (let at = 8; at < 4096; at += 8) {
    checksum ^= BigInt.asUintN(64, file.readBigUInt64LE(at) * 0xbf58_476d_1ce4_e5b9n);
  }
  file.writeBigUInt64LE(checksum, 0);
  return file;
}

describe('files', () => {
  it('are not made by looking', async () => {
    await using file = duckdbFixture();
    const destination = await file.destination();
    const plan = await destination.plan(streamTarget(orders));
    expect(plan).toMatchObject({ exists: false, empty: true, findings: [] });
    expect(await destination.readState('p')).toBeNull();
    expect(await destination.pipelines()).toEqual([]);
    expect((await destination.check()).every(({ severity }) => severity === 'ok')).toBe(true);
    expect(existsSync(file.path)).toBe(false);
    await expect((await file.source()).discover()).rejects.toMatchObject({
      code: 'database_missing',
    });
  });

  it.each<readonly [string, string, (path: string, good: Buffer) => void]>([
    ['garbage', 'database_damaged', (path) => writeFileSync(path, 'no database '.repeat(3000))],
    ['nothing at all', 'database_damaged', (path) => writeFileSync(path, '')],
    ['a directory', 'database_damaged', (path) => mkdirSync(path)],
    ['a part', 'database_damaged', (path, good) => writeFileSync(path, good.subarray(0, 20_000))],
    ['other bytes', 'database_damaged', (path, good) => writeFileSync(path, good.fill(9, 4096))],
    ['a newer format', 'newer_version', (path, good) => writeFileSync(path, ofFormat(good, 999))],
  ])('that hold %s say so', async (_, code, write) => {
    await using file = duckdbFixture();
    await file.sql('CREATE TABLE t (a INT)');
    const path = join(file.path, '..', 'other.duckdb');
    write(path, readFileSync(file.path));
    await using destination = await openPath(path);
    await expect(destination.openSession('p')).rejects.toMatchObject({ code });
  });

  it('in a directory that is not there say so', async () => {
    await using file = duckdbFixture();
    await using nowhere = await openPath(join(file.path, '..', 'none', 'x.duckdb'));
    await expect(nowhere.openSession('p')).rejects.toMatchObject({ code: 'database_missing' });
  });

  it.skipIf(getuid?.() === 0)('that are read-only say so', async () => {
    await using file = duckdbFixture();
    await file.sql('CREATE TABLE t (a INT)');
    chmodSync(file.path, 0o400);
    await expect((await file.destination()).openSession('p')).rejects.toMatchObject({
      code: 'read_only',
    });
  });

  it('that another process holds name it', async () => {
    await using file = duckdbFixture();
    const child = fork(join(import.meta.dirname, '..', 'support', 'duckdb-writer.ts'), [
      file.path,
      'hold',
    ]);
    await once(child, 'message', { signal: AbortSignal.timeout(20_000) });
    const destination = await file.destination();
    const [, opened] = await destination.check();
    expect(opened?.error).toMatchObject({ code: 'file_locked' });
    expect(opened?.message).toContain(`PID ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await using session = await destination.openSession('p');
    expect(session.epoch).toBe(2);
  });
});

describe('kill -9', () => {
  const keyed = 'CREATE TABLE public.orders (id BIGINT PRIMARY KEY, n INT)';

  it.each([
    [300, null],
    [700, null],
    [700, keyed],
    [1300, null],
  ])(
    'after %i ms leaves whole transactions and their checkpoint (table of the user: %s)',
    async (ms, create) => {
      await using file = duckdbFixture();
      if (create !== null) await file.sql('CREATE SCHEMA public', create);
      const child = fork(join(import.meta.dirname, '..', 'support', 'duckdb-writer.ts'), [
        file.path,
        'write',
      ]);
      await once(child, 'message', { signal: AbortSignal.timeout(20_000) });
      await new Promise((resolve) => setTimeout(resolve, ms));
      child.kill('SIGKILL');
      await once(child, 'exit');
      const destination = await file.destination();
      const state = await destination.readState('p');
      const committed = Number(state?.checkpoint?.position ?? 0);
      await destination[Symbol.asyncDispose]();
      // Transaction n has written n rows of the value n, and replaced the row with key 0.
      const [sums] = await file.sql(
        `SELECT count(*), coalesce(max(n), 0), count(DISTINCT id) FROM public.orders WHERE id > 0`,
      );
      expect(committed).toBeGreaterThan(0);
      expect(sums).toEqual([committed * 100, committed, committed * 100]);
      expect(await file.sql('SELECT n FROM public.orders WHERE id = 0')).toEqual([[committed]]);
    },
  );
});

describe('replaying dead letters', () => {
  it('writes them in the order they came', async () => {
    await using file = duckdbFixture();
    await file.sql(
      'CREATE SCHEMA public',
      'CREATE TABLE public.orders (id BIGINT, name VARCHAR NOT NULL)',
    );
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      for (const [position, id] of [
        ['1', '7'],
        ['2', '8'],
      ] as const) {
        const batch = rowBatch(orders, [{ op: OP_INSERT, values: [id, null] }]);
        await applyRows(session, target, position, keyedRows(batch, [ACT_INSERT]));
      }
    }
    await destination[Symbol.asyncDispose]();
    await file.sql('ALTER TABLE public.orders ALTER COLUMN name DROP NOT NULL');
    const again = await file.destination();
    const ids = (await again.deadLetters.list('p')).map(({ id }) => id);
    const results = await again.deadLetters.replay(ids.toReversed());
    expect(results).toEqual(ids.map((id) => ({ id, error: null })));
    expect((await again.deadLetters.list('p')).every(({ replayedAt }) => replayedAt !== null)).toBe(
      true,
    );
    await again[Symbol.asyncDispose]();
    expect(await file.sql('SELECT id, name FROM public.orders ORDER BY id')).toEqual([
      [7, null],
      [8, null],
    ]);
  });
});
