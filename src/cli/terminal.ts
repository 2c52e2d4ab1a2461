import type { ReadStream, WriteStream } from 'node:tty';

/** Where the command speaks: results to `out`, everything else to `err`. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether stderr is a terminal that may be repainted. */
  readonly live: boolean;
  /** Whether a person can be asked. */
  readonly canAsk: boolean;
  /** Size of the terminal behind stderr, asked anew each time: windows are resized. */
  readonly size: () => { readonly columns: number; readonly rows: number };
  /** Width of running text on stdout. */
  readonly outColumns: number;
  readonly outStyle: Style;
  readonly errStyle: Style;
}

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

function paint(enabled: boolean, open: number, close: number): (text: string) => string {
  return enabled ? (text) => `\u001B[${open}m${text}\u001B[${close}m` : (text) => text;
}

export function makeStyle(enabled: boolean): Style {
  return {
    bold: paint(enabled, 1, 22),
    dim: paint(enabled, 2, 22),
    red: paint(enabled, 31, 39),
    green: paint(enabled, 32, 39),
    yellow: paint(enabled, 33, 39),
    cyan: paint(enabled, 36, 39),
  };
}

type Stream = Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;

const TEXT_COLUMNS = 100;

export interface TerminalStreams {
  readonly stdin: Partial<Pick<ReadStream, 'isTTY'>>;
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A terminal that does not know its size says 0. */
function known(size: number | undefined, fallback: number): number {
  return size === undefined || size === 0 ? fallback : size;
}

export function openTerminal({ stdin, stdout, stderr, env }: TerminalStreams): Terminal {
  const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  const live = stderr.isTTY === true && !plain;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    live,
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    size: () => ({ columns: known(stderr.columns, 80), rows: known(stderr.rows, 24) }),
    outColumns: Math.min(known(stdout.columns, TEXT_COLUMNS), TEXT_COLUMNS),
    outStyle: makeStyle(stdout.isTTY === true && !plain),
    errStyle: makeStyle(live),
  };
}
