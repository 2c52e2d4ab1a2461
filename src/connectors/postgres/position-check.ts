import type { Checkpoint } from '../../core/checkpoint.ts';
import { ForebayError } from '../../core/errors.ts';
import { compareLsn } from './lsn.ts';
import type { SlotState, SystemFacts } from './slots.ts';

export interface PositionFacts {
  readonly name: string;
  readonly facts: SystemFacts;
  readonly slot: SlotState | null;
  readonly published: boolean;
  readonly checkpoint: Checkpoint;
}

function lost(facts: PositionFacts, why: string): ForebayError {
  return new ForebayError('position_lost', {
    message: `the changes after ${facts.checkpoint.position} can no longer be read from slot ${facts.name}`,
    why,
  });
}

/** Whether everything after the checkpoint can still be read; the error says what is wrong. Pure. */
export function checkPosition(given: PositionFacts): ForebayError | null {
  const { facts, slot, checkpoint, name } = given;
  const was = checkpoint.source.facts;
  if (was['systemId'] !== facts.systemId) {
    return lost(
      given,
      `this is another server: system identifier ${facts.systemId}, the checkpoint has ${was['systemId'] ?? 'none'}`,
    );
  }
  if (slot === null) return lost(given, `replication slot ${name} does not exist any more`);
  if (slot.plugin !== 'pgoutput')
    return lost(given, `slot ${name} belongs to plugin ${slot.plugin}`);
  // A failover slot is carried over to the promoted standby with its position; any other is not.
  if (was['timeline'] !== facts.timeline && !slot.failover) {
    return lost(
      given,
      `the server was restored or promoted: timeline ${facts.timeline}, the checkpoint has ${was['timeline'] ?? 'none'}`,
    );
  }
  if (slot.invalidation !== null)
    return lost(given, `the server invalidated slot ${name}: ${slot.invalidation}`);
  if (slot.walStatus === 'lost') {
    return lost(
      given,
      `the server removed log that slot ${name} still needed (max_slot_wal_keep_size)`,
    );
  }
  if (!given.published) return lost(given, `publication ${name} does not exist any more`);
  if (slot.confirmedFlush !== null && compareLsn(slot.confirmedFlush, checkpoint.position) > 0) {
    return lost(
      given,
      `slot ${name} was moved on to ${slot.confirmedFlush} by somebody else, or made anew`,
    );
  }
  return null;
}
