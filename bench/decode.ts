/**
 * Reads a pipeline's change stream up to a position and drops what it decoded: node decode.ts URL PIPELINE END ENCODING.
 * Prints the events and the seconds from START_REPLICATION to the last of them.
 */
import type * as Config from '../src/connectors/postgres/config.ts';
import type * as Changes from '../src/connectors/postgres/changes.ts';
import type * as Discover from '../src/connectors/postgres/discover.ts';
import type * as Slots from '../src/connectors/postgres/slots.ts';
import type * as System from '../src/connectors/postgres/system.ts';
import type * as Slab from '../src/core/slab.ts';
import type * as Batching from '../src/engine/batcher.ts';

/** Compiled, as it is published. */
function built(path: string): Promise<unknown> {
  return import(new URL(`../dist/${path}`, import.meta.url).href);
}

const { parsePostgresUrl } = (await built('connectors/postgres/config.js')) as typeof Config;
const { PostgresChanges } = (await built('connectors/postgres/changes.js')) as typeof Changes;
const { discover } = (await built('connectors/postgres/discover.js')) as typeof Discover;
const { readSlot } = (await built('connectors/postgres/slots.js')) as typeof Slots;
const { PostgresSystem } = (await built('connectors/postgres/system.js')) as typeof System;
const { SlabPool } = (await built('core/slab.js')) as typeof Slab;
const { Batcher } = (await built('engine/batcher.js')) as typeof Batching;

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
// Nothing is to be applied, so the last changes are not waited with either.
const batcher = new Batcher(slabs, { rows: 20_000, ms: 5, bytes: 128 * 1024 * 1024 });
const streams = (await discover(system.catalog)).map((entry) => entry.schema);
const reader = await changes.open({
  pipeline,
  position: slot?.confirmedFlush ?? '0/0',
  streams,
  encoding: encoding === 'text' ? 'text' : 'binary',
  sink: batcher,
});
const startedAt = performance.now();
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
const seconds = (performance.now() - startedAt) / 1000;
stop.abort();
await running;
await reader[Symbol.asyncDispose]();
process.stdout.write(`${JSON.stringify({ events, seconds })}\n`);
