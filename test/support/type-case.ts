// A type, values at its edges, and what becomes of them at each destination.

export interface TypeCase {
  /** Unique; the table's name. */
  readonly name: string;
  /** As CREATE TABLE writes it. */
  readonly type: string;
  /** SQL expressions. */
  readonly values: readonly string[];
  /** First PostgreSQL major that has the type or the values. */
  readonly since?: number;
  /** Statements that make the type in the source; it is then unknown at the destination. */
  readonly setup?: string;
  /** Type of the column in a PostgreSQL destination that does not know the source's type. */
  readonly elsewhere?: string;
  readonly duckdb: {
    readonly type: string;
    /** How to print `v`; its cast to VARCHAR if left out. */
    readonly sql?: string;
    /** One per value; PostgreSQL's texts if left out. */
    readonly texts?: readonly string[];
  };
  /** Values are kept by DuckDB in another text that means the same; compared after a cast to `type`. */
  readonly back?: 'cast';
}

/** A type whose PostgreSQL text is what DuckDB keeps. */
export const asText = { type: 'VARCHAR' } as const;

/** The text of a value as an SQL literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function literals(...texts: readonly string[]): string[] {
  return texts.map(literal);
}
