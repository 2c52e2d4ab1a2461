import type { RunEvent } from '../../engine/pipeline.ts';

/** Shows a run while it goes on. */
export interface RunView {
  readonly observe: (event: RunEvent) => void;
  /** A line of the command's own. */
  readonly note: (text: string) => void;
  /** Leaves the last picture standing. */
  readonly end: () => void;
}

export interface ViewHeader {
  readonly mode: string;
  readonly pipeline: string;
  readonly source: string;
  readonly destination: string;
}
