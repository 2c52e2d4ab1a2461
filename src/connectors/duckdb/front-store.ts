import type { Vector } from '@duckdb/node-bindings';
import type { CellStore } from './fixed-store.ts';

/** Looks at cells, or changes them, before another store takes them. */
export class FrontStore implements CellStore {
  readonly put: CellStore['put'];
  readonly #inner: CellStore;

  constructor(inner: CellStore, put: CellStore['put']) {
    this.#inner = inner;
    this.put = put;
  }

  flush(vector: Vector, count: number): void {
    this.#inner.flush(vector, count);
  }

  clear(): void {
    this.#inner.clear();
  }
}
