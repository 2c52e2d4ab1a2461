// As much of a terminal as the live view uses: lines, colours, cursor up, erase below, erase line.

export interface Span {
  text: string;
  readonly colour: string;
  readonly bold: boolean;
  readonly dim: boolean;
}
export type ScreenLine = readonly Span[];

interface Cell {
  readonly letter: string;
  readonly colour: string;
  readonly bold: boolean;
  readonly dim: boolean;
}

const colourOf: Record<number, string> = {
  31: 'red',
  32: 'green',
  33: 'yellow',
  36: 'cyan',
  39: 'plain',
};
// oxlint-disable-next-line no-control-regex
const token = /\u001B\[(\??)([0-9;]*)([A-Za-z])|([\r\n])|([^\u001B\r\n]+)/g;

export class Screen {
  readonly #columns: number;
  readonly #rows: number;
  #lines: Cell[][] = [[]];
  #row = 0;
  #column = 0;
  #colour = 'plain';
  #bold = false;
  #dim = false;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.#rows = rows;
  }

  write(text: string): void {
    for (const [, secret, argument = '', command, move, letters] of text.matchAll(token)) {
      if (letters !== undefined) this.#print(letters);
      else if (move === '\r') this.#column = 0;
      else if (move === '\n') this.#newLine();
      else if (secret === '')
        this.#command(command ?? '', Number(argument === '' ? '0' : argument));
    }
  }

  /** The last rows that fit the window. */
  lines(): readonly ScreenLine[] {
    const used = this.#lines.slice(0, Math.max(this.#row, 1));
    return used.slice(-this.#rows).map(toSpans);
  }

  #print(text: string): void {
    const line = this.#line(this.#row);
    for (const letter of text) {
      if (this.#column >= this.#columns) return;
      while (line.length < this.#column) line.push(blank);
      line[this.#column] = { letter, colour: this.#colour, bold: this.#bold, dim: this.#dim };
      this.#column += 1;
    }
  }

  #line(row: number): Cell[] {
    while (this.#lines.length <= row) this.#lines.push([]);
    return this.#lines[row] ?? [];
  }

  #newLine(): void {
    this.#row += 1;
    this.#column = 0;
    this.#line(this.#row);
  }

  #command(command: string, argument: number): void {
    if (command === 'm') this.#paint(argument);
    else if (command === 'A') this.#row = Math.max(0, this.#row - argument);
    else if (command === 'K')
      this.#line(this.#row).length = Math.min(this.#column, this.#line(this.#row).length);
    else if (command === 'J') {
      this.#lines.length = this.#row + 1;
      this.#line(this.#row).length = Math.min(this.#column, this.#line(this.#row).length);
    }
  }

  #paint(code: number): void {
    if (code === 1) this.#bold = true;
    else if (code === 2) this.#dim = true;
    else if (code === 22) {
      this.#bold = false;
      this.#dim = false;
    } else this.#colour = colourOf[code] ?? this.#colour;
  }
}

const blank: Cell = { letter: ' ', colour: 'plain', bold: false, dim: false };

function toSpans(cells: readonly Cell[]): ScreenLine {
  const spans: Span[] = [];
  for (const { letter, colour, bold, dim } of cells) {
    const last = spans.at(-1);
    if (last?.colour === colour && last.bold === bold && last.dim === dim) last.text += letter;
    else spans.push({ text: letter, colour, bold, dim });
  }
  return spans;
}
