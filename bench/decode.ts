/** Reads a pipeline's change stream up to a position and drops what it decoded: node decode.ts URL PIPELINE END ENCODING */
import { parsePostgresUrl } from '../src/connectors/postgres/config.ts';
import { PostgresChanges } from '../src/connectors/postgres/changes.ts';
import { discover } from '../src/connectors/postgres/discover.ts';
import { readSlot } from '../src/connectors/postgres/slots.ts';
import { PostgresSystem } from '../src/connectors/postgres/system.ts';
import { SlabPool } from '../src/core/slab.ts';
import { Batcher } from '../src/engine/batcher.ts';

const [url = '', pipeline = '', end = '', encoding = 'binary'] = process.argv.slice(2);
const over = new AbortController();
const stop = new AbortController();
const slabs = new SlabPool(64 * 1024 * 1024);
await using system = await PostgresSystem.open(parsePostgresUrl(url), {
  signal: over.signal,
  slabs,
  memoryBytes: 128 * 1024 * 1024,
  options: {},
  notice: () => {},
});
const changes = new PostgresChanges(system);
const slot = await readSlot(system.catalog, `forebay_${pipeline}`);
const batcher = new Batcher(slabs, { rows: 20_000, ms: 200, bytes: 128 * 1024 * 1024 });
const streams = (await discover(system.catalog)).map((entry) => entry.schema);
const reader = await changes.open({
  pipeline,
  position: slot?.confirmedFlush ?? '0/0',
  streams,
  encoding: encoding === 'text' ? 'text' : 'binary',
  sink: batcher,
});
const running = reader.run(stop.signal);
let events = 0;
for (;;) {
  const piece = await batcher.next(20, stop.signal);
  if (piece !== null) {
    events += piece.events;
    batcher.release(piece);
  }
  const at = batcher.idlePosition;
  if (at !== null && changes.comparePositions(at, end) >= 0) break;
  if (piece === null) reader.poke();
}
stop.abort();
await running;
await reader[Symbol.asyncDispose]();
process.stdout.write(`${events}\n`);
