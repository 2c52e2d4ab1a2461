// The file of the example connector's destination: tables, and what is remembered of pipelines.
import { open, readFile, rename } from 'node:fs/promises';

import {
  type Checkpoint,
  checkpointChecksum,
  type PipelineState,
  type StreamRecord,
} from '../../src/core/checkpoint.ts';
import { ForebayError } from '../../src/core/errors.ts';

export type Row = Record<string, string | null>;
export type Table = Record<string, Row>;

export interface StoredPipeline {
  epoch: number;
  run?: string | null;
  checkpoint: Checkpoint | null;
  checksum: string | null;
  streams: Record<string, StreamRecord>;
  chunks: Record<string, string[]>;
}

export interface Content {
  pipelines: Record<string, StoredPipeline>;
  tables: Record<string, Table>;
}

export class Store {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async read(): Promise<Content> {
    try {
      return JSON.parse(await readFile(this.path, 'utf8')) as Content;
    } catch (error) {
      // Looking at a destination that is not there yet makes nothing.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
        return { pipelines: {}, tables: {} };
      throw error;
    }
  }

  async write(content: Content): Promise<void> {
    const file = await open(`${this.path}.new`, 'w');
    try {
      await file.writeFile(JSON.stringify(content));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${this.path}.new`, this.path);
  }
}

/** What a session begins with; a checkpoint that was edited by hand is not followed. */
export function toState(
  pipeline: string,
  stored: StoredPipeline,
  acceptDamaged = false,
): PipelineState {
  const { epoch, checkpoint, checksum, streams, chunks } = stored;
  if (
    !acceptDamaged &&
    checkpoint !== null &&
    checkpointChecksum(pipeline, checkpoint) !== checksum
  ) {
    throw new ForebayError('checkpoint_corrupt', {
      message: `the checkpoint of pipeline ${pipeline} does not match its checksum`,
    });
  }
  return {
    epoch,
    run: stored.run ?? null,
    checkpoint,
    streams: Object.values(streams),
    chunks: new Map(Object.entries(chunks).map(([id, ids]) => [id, new Set(ids)])),
  };
}
