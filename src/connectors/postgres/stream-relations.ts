import type { ChangeSink } from '../../core/change-event.ts';
import { ForebayError } from '../../core/errors.ts';
import { type StreamSchema, streamId } from '../../core/stream-schema.ts';
import { type CellEncoding, hasBinaryForm } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import type { RelationMessage } from './pgoutput.ts';
import { resolveRelation } from './relations.ts';
import { mapRelation, type Relation } from './row-decoder.ts';

/** The relations that the stream has announced, and which of our streams they are. */
export class StreamRelations {
  readonly #catalog: PgConnection;
  readonly #encoding: CellEncoding;
  readonly #streams = new Map<string, StreamSchema>();
  readonly #relations = new Map<number, Relation>();

  constructor(catalog: PgConnection, encoding: CellEncoding, streams: readonly StreamSchema[]) {
    this.#catalog = catalog;
    this.#encoding = encoding;
    for (const schema of streams) this.#streams.set(schema.ref, schema);
  }

  get(oid: number): Relation {
    const relation = this.#relations.get(oid);
    if (relation === undefined) {
      throw new ForebayError('protocol', {
        message: `a row of relation ${oid} that was never announced`,
      });
    }
    return relation;
  }

  /** Streams that were added while running; a relation announced before gets its mapping now. */
  include(schemas: readonly StreamSchema[]): void {
    for (const schema of schemas) {
      this.#streams.set(schema.ref, schema);
      const relation = this.#relations.get(Number(schema.ref));
      if (relation !== undefined) this.#set(relation.message, schema);
    }
  }

  /** Null if the message can be taken as it is; else a promise after which reading may go on. */
  learn(message: RelationMessage, sink: ChangeSink): Promise<void> | null {
    const known = this.#streams.get(message.oid);
    if (known === undefined) {
      this.#relations.set(Number(message.oid), { message, mapping: null });
      return null;
    }
    return this.#resolve(message, known, sink);
  }

  async #resolve(message: RelationMessage, known: StreamSchema, sink: ChangeSink): Promise<void> {
    const outcome = await resolveRelation(this.#catalog, message, known);
    switch (outcome.kind) {
      case 'same':
        this.#set(message, known);
        break;
      case 'changed':
        this.#assertReadable(outcome.schema);
        this.#streams.set(message.oid, outcome.schema);
        this.#set(message, outcome.schema);
        sink.schema(outcome.schema);
        break;
      case 'lost':
        this.#streams.delete(message.oid);
        this.#relations.set(Number(message.oid), { message, mapping: null });
        sink.dropped(streamId(known.stream), outcome.reason);
        break;
    }
  }

  /** Rows of such a column would come in a form that only the server can read. */
  #assertReadable(schema: StreamSchema): void {
    if (this.#encoding === 'text' || schema.columns.every((column) => hasBinaryForm(column.type)))
      return;
    throw new ForebayError('encoding_changed', {
      message: `${streamId(schema.stream)} has a new column that is sent as text only`,
      stream: streamId(schema.stream),
    });
  }

  #set(message: RelationMessage, schema: StreamSchema): void {
    this.#relations.set(Number(message.oid), {
      message,
      mapping: mapRelation(message, schema, this.#encoding),
    });
  }
}
