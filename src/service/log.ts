/** The service's log: one line an event on stderr, JSON or text. Row values and secrets never come here. */
import { pino, type Logger } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'text';
type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  readonly at: (level: LogLevel, event: string, fields?: Fields) => void;
  /** With these fields on every line. */
  readonly child: (fields: Fields) => Log;
}

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/** `2026-01-01T00:00:00.000Z INFO  stream_retry stream=orders attempt=2` */
function textLine(json: string): string {
  const { time, level, event, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${printField(value)}`);
  const name = String(level).toUpperCase().padEnd(5);
  return `${[String(time), name, String(event), ...rest].join(' ')}\n`;
}

function printField(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

export class ServiceLog {
  #settings: LogSettings;
  readonly #logger: Logger;

  constructor(settings: LogSettings, write: (line: string) => void) {
    this.#settings = settings;
    this.#logger = pino(
      {
        level: settings.level,
        // Neither process id nor host: whoever gathers the lines knows both.
        base: null,
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      { write: (line) => write(this.#settings.format === 'json' ? line : textLine(line)) },
    );
  }

  /** Of a file that was edited. */
  set(settings: LogSettings): void {
    this.#settings = settings;
    this.#logger.level = settings.level;
  }

  get root(): Log {
    return this.#bound({});
  }

  #bound(fixed: Fields): Log {
    return {
      at: (level, event, fields = {}) => this.#logger[level]({ event, ...fixed, ...fields }),
      child: (fields) => this.#bound({ ...fixed, ...fields }),
    };
  }
}
