/** Reads a stream of server-sent events as the WHATWG describes them. Pure. */

export interface ServerSentEvent {
  /** The last one given; null before the first. */
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Longer than any line of a log. */
const MOST_CHARACTERS = 1_048_576;

export class EventReader {
  #rest = '';
  #id: string | null = null;
  #event = '';
  #data: string[] = [];
  #size = 0;

  /** Takes what arrived; gives the events that it completes. Fails where one grows without end. */
  *take(text: string): Generator<ServerSentEvent> {
    this.#rest += text;
    for (;;) {
      const end = /\r\n|\n|\r(?=[^])/.exec(this.#rest);
      if (end === null) break;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event = this.#line(line);
      if (event !== null) yield event;
    }
    if (this.#rest.length + this.#size > MOST_CHARACTERS) {
      throw new RangeError('an event without an end');
    }
  }

  #line(line: string): ServerSentEvent | null {
    if (line === '') return this.#complete();
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    this.#size += line.length;
    if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    return null;
  }

  #complete(): ServerSentEvent | null {
    const event = this.#event === '' ? 'message' : this.#event;
    const data = this.#data;
    this.#event = '';
    this.#data = [];
    this.#size = 0;
    return data.length === 0 ? null : { id: this.#id, event, data: data.join('\n') };
  }
}
