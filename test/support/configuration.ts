/** Configuration files in tests: text in, what a user reads out. */
import { inspectBytes, type Inspection } from '../../src/service/configuration/inspect.ts';
import { printProblem } from '../../src/service/configuration/problem.ts';
import type { CheckSpecification } from '../../src/service/configuration/rules-entries.ts';

export interface Around {
  readonly file?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly check?: CheckSpecification;
}

export function inspect(text: string | Uint8Array, around: Around = {}): Inspection {
  const { file = 'c.yaml', variables = {}, files = {}, check = () => [] } = around;
  const surroundings = {
    folder: '/etc/forebay',
    variable: (name: string) => variables[name],
    file: (path: string) => {
      const content = files[path];
      return content === undefined ? { reason: 'there is no such file' } : { text: content };
    },
  };
  return inspectBytes({ file, bytes: Buffer.from(text), surroundings, check });
}

export function problemsOf(text: string | Uint8Array, around: Around = {}): string[] {
  return inspect(text, around).problems.map(printProblem);
}

export function missingOf(text: string, around: Around = {}): string[] {
  return inspect(text, around).missing.map(printProblem);
}

/** A valid file of one stream, PostgreSQL to PostgreSQL; what a test changes replaces the line of that field. */
export const SHOP = `version: "1"
streams:
  - id: shop
    source:
      type: postgres
      connection_string: postgres://ada:secret@shop-db/shop
      database: shop
      collection_table: public.orders
    destination:
      type: postgres
      connection_string: postgres://ada:secret@dw-db/dw
      database: dw
`;

/** Each `before` must stand in the text, so that a test cannot test nothing. */
export function edit(text: string, ...edits: readonly (readonly [string, string])[]): string {
  return edits.reduce((result, [before, after]) => {
    if (!result.includes(before)) throw new Error(`${JSON.stringify(before)} does not stand there`);
    return result.replace(before, () => after);
  }, text);
}
