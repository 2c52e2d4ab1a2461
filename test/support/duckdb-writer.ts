// A process that writes to a DuckDB file until it is killed: `duckdb-writer.ts <path> hold|write`.
import process from 'node:process';
import { connector } from '../../src/connectors/duckdb/connector.ts';
import { parseAddress } from '../../src/connectors/duckdb/config.ts';
import { SlabPool } from '../../src/core/slab.ts';
import { rowBatch, streamSchema, streamTarget } from './batches.ts';
import { applyRows, insertedRows } from './duckdb-fixture.ts';

const [path = '', mode = 'write'] = process.argv.slice(2);
const schema = streamSchema({ id: { kind: 'int', bits: 64 }, n: { kind: 'int', bits: 32 } });
const target = streamTarget(schema);
const destination = await connector.openDestination?.(parseAddress(`duckdb:${path}`), {
  signal: new AbortController().signal,
  slabs: new SlabPool(1),
  memoryBytes: 1,
  options: {},
  notice: () => {},
});
if (destination === undefined) throw new TypeError('no destination');
const session = await destination.openSession('p');
await session.prepare(target);

async function transaction(n: number): Promise<void> {
  const rows = Array.from({ length: 100 }, (_, index) => ({
    values: [String((n - 1) * 100 + index + 1), String(n)],
  }));
  const batch = rowBatch(schema, [{ values: ['0', String(n)] }, ...rows]);
  await applyRows(session, target, String(n), insertedRows(batch));
}

if (mode === 'write') {
  await transaction(1);
  process.send?.('ready');
  for (let n = 2; ; n += 1) await transaction(n);
} else {
  process.send?.('ready');
  setInterval(() => {}, 1000);
}
