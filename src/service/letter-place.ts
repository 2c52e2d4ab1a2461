/** `dead_letter_destination` of a transformation, opened where it is not the destination's own. */
import { openDestination, resolveSystem } from '../connectors/registry.ts';
import type { ConnectorContext, Destination } from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';
import { readDeadLetters } from './configuration/dead-letters.ts';
import { DeadLetterFile } from './dead-letter-file.ts';
import { type LetterSink, printLetter } from './letter-sink.ts';
import { openLetterTable } from './letter-table.ts';

export interface LetterPlace {
  readonly pipeline: string;
  /** As the file says it, references followed. */
  readonly text: string;
  readonly folder: string;
  /** The stream's own destination, for tables there. */
  readonly openDestination: (context: ConnectorContext) => Promise<Destination>;
}

const OWN = { schema: '_forebay', table: 'dead_letters' } as const;
/** In a system that holds nothing else of the stream. */
const ELSEWHERE = { namespace: 'forebay', name: 'dead_letters' } as const;

function fileSink(pipeline: string, pattern: string, folder: string): LetterSink {
  const file = new DeadLetterFile({ pattern, folder });
  return {
    write: (stream, rows) => {
      const at = new Date().toISOString();
      return file.write(rows.map((row) => ({ ...printLetter({ pipeline, stream, at }, row) })));
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/** Null: letters stand with the stream's data, in `_forebay.dead_letters`. */
export function letterPlace(
  place: LetterPlace,
): ((context: ConnectorContext) => Promise<LetterSink>) | null {
  const { pipeline, text, folder } = place;
  const { destination, flaw } = readDeadLetters(text);
  if (destination === null) {
    throw new ForebayError('configuration_invalid', {
      message: `dead_letter_destination: ${flaw.message}`,
      fix: flaw.fix,
    });
  }
  switch (destination.kind) {
    case 'file':
      return async () => fileSink(pipeline, destination.pattern, folder);
    case 'table': {
      const { schema, table } = destination;
      if ((schema ?? OWN.schema) === OWN.schema && table === OWN.table) return null;
      const name = { namespace: schema ?? 'public', name: table };
      return (context) =>
        openLetterTable({ pipeline, table: name }, () => place.openDestination(context), context);
    }
    case 'system':
      return async (context) => {
        const system = await resolveSystem(destination.system);
        return await openLetterTable(
          { pipeline, table: ELSEWHERE },
          () => openDestination(system, context),
          context,
        );
      };
  }
}
