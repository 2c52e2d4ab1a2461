import { createHash } from 'node:crypto';
import type { SystemAddress } from '../core/connector.ts';

/** What makes it the same pipeline on the next run. */
export interface PipelineFacts {
  readonly source: Pick<SystemAddress, 'identity' | 'label'>;
  readonly destination: Pick<SystemAddress, 'identity' | 'label'>;
  readonly selection: readonly string[];
  readonly targetNamespace: string | null;
  readonly load: string;
}

const LABEL_LENGTH = 14;

function readable(label: string): string {
  const plain = label
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, LABEL_LENGTH)
    .replace(/_+$/, '');
  return plain === '' ? 'x' : plain;
}

/** `shop_warehouse_1f2e3d4c`: readable, at most 40 of [a-z0-9_], and the same for the same facts for ever. */
export function derivePipelineName(facts: PipelineFacts): string {
  const { source, destination, selection, targetNamespace, load } = facts;
  const identity = [source.identity, destination.identity, selection, targetNamespace, load];
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 8);
  return `${readable(source.label)}_${readable(destination.label)}_${hash}`;
}
