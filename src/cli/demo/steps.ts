import { formatDuration } from '../format.ts';
import type { Terminal } from '../terminal.ts';

/** Tells what is being done, and how long it took: one line each. */
export interface Steps {
  readonly perform: <T>(label: string, act: () => Promise<T>) => Promise<T>;
}

const LABEL_WIDTH = 58;

export function makeSteps(terminal: Terminal, silent: boolean): Steps {
  const { green, red, dim } = terminal.errStyle;
  return {
    perform: async (label, act) => {
      if (silent) return await act();
      const startedAt = performance.now();
      if (terminal.live) terminal.err(`  ${dim('…')} ${label}`);
      const back = terminal.live ? '\r\u001B[K' : '';
      try {
        const value = await act();
        const took = formatDuration(performance.now() - startedAt);
        terminal.err(`${back}  ${green('✓')} ${label.padEnd(LABEL_WIDTH)} ${dim(took)}\n`);
        return value;
      } catch (error) {
        terminal.err(`${back}  ${red('✗')} ${label}\n`);
        throw error;
      }
    },
  };
}
