/** Deletes a pipeline of a server, and says what it left behind. */
import { deletedPipelineSchema, type KeptPart } from '../../api/schemas/pipelines.ts';
import type { ApiClient } from '../api-client.ts';
import type { Terminal } from '../terminal.ts';
import { PATHS, type Pipeline } from './find.ts';
import { printable } from './printable.ts';

/** Answers what its systems may still keep of it. */
export async function deletePipeline(
  api: ApiClient,
  { id, version }: Pick<Pipeline, 'id' | 'version'>,
  leave: boolean,
): Promise<readonly KeptPart[]> {
  const deleted = await api.request(deletedPipelineSchema.nullable(), {
    method: 'DELETE',
    path: `${PATHS.pipelines}/${id}`,
    version,
    query: { leave: leave ? 'true' : undefined },
  });
  return deleted?.left ?? [];
}

export function sayLeft(pipeline: string, left: readonly KeptPart[], terminal: Terminal): void {
  if (left.length === 0) return;
  terminal.err(`What may be left of ${printable(pipeline)}:\n`);
  for (const { at, kind, name } of left) {
    terminal.err(`  - ${printable(`${kind} ${name}`)} at the ${at}\n`);
  }
}
