import type { TestPipeline } from './test-pipeline.ts';
import { eventually } from './wait.ts';

/** Drops the pipeline's slot, as somebody may by hand; returns its name. The walsender of a run goes within moments. */
export async function loseSlot(pipeline: TestPipeline): Promise<string> {
  return await eventually(async () => {
    const [slot] = await pipeline.sql(
      `select slot_name, pg_drop_replication_slot(slot_name)::text
       from pg_replication_slots where database = current_database()`,
    );
    return slot === undefined ? null : String(slot['slot_name']);
  });
}
