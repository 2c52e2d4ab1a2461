/** Of which columns each column of a layer is made. */
import { queryLineage } from './lineage-query.ts';
import type { PlannedModel } from './model-graph.ts';
import type { SilverPlan } from './silver-plan.ts';
import { BRONZE, GOLD, readColumns, SILVER, type Warehouse } from './warehouse.ts';

/** A row of `column_lineage`. */
export interface ColumnLineage {
  readonly layer: 'bronze' | 'silver' | 'gold';
  /** Without its schema, which is the layer's name. */
  readonly tableName: string;
  /** `*` where only tables are known. */
  readonly columnName: string;
  /** With its schema; at bronze the stream's id. */
  readonly sourceTable: string;
  readonly sourceColumn: string;
}

/** Bronze has a stream's columns as they are. */
export function bronzeLineage(
  stream: { readonly id: string; readonly columns: readonly string[] },
  table: string,
): readonly ColumnLineage[] {
  return stream.columns.map((column) => ({
    layer: 'bronze',
    tableName: table,
    columnName: column,
    sourceTable: stream.id,
    sourceColumn: column,
  }));
}

/** Silver has bronze's columns under their names. */
export function silverLineage(plan: SilverPlan): readonly ColumnLineage[] {
  return plan.columns.map(({ name }) => ({
    layer: 'silver',
    tableName: plan.stream.table,
    columnName: name,
    sourceTable: `${BRONZE}.${plan.stream.bronze}`,
    sourceColumn: name,
  }));
}

/** Gives the tree of a query as DuckDB's `json_serialize_sql` has it; null where DuckDB does not read the query. */
export type ParseQuery = (sql: string) => Promise<unknown>;

export function duckdbParser(warehouse: Warehouse): ParseQuery {
  return async (sql) => {
    const rows = await warehouse.query(
      'SELECT CAST(json_serialize_sql(CAST($1 AS VARCHAR)) AS VARCHAR) AS tree',
      [sql],
    );
    const tree: unknown = JSON.parse(rows[0]?.['tree'] ?? 'null');
    return tree;
  };
}

function tableLevel(planned: PlannedModel): readonly ColumnLineage[] {
  const inputs = [
    ...planned.silver.map((name) => `${SILVER}.${name}`),
    ...planned.dependsOn.map((name) => `${GOLD}.${name}`),
    ...planned.others,
  ];
  return inputs.map((sourceTable) => ({
    layer: 'gold',
    tableName: planned.model.name,
    columnName: '*',
    sourceTable,
    sourceColumn: '*',
  }));
}

/**
 * Columns of a model that is built. `parse` is null where no DuckDB is at hand; then, and for queries that it does not
 * read or that cannot be followed, tables are given instead of columns.
 */
export async function goldLineage(
  warehouse: Warehouse,
  planned: PlannedModel,
  parse: ParseQuery | null,
): Promise<readonly ColumnLineage[]> {
  const tree = parse === null ? null : await parse(planned.sql);
  if (tree === null) return tableLevel(planned);
  const outputs = await queryLineage(tree, async (schema, name) => {
    const columns = await readColumns(warehouse, { schema, name });
    return columns.map((column) => column.name);
  });
  const built = await readColumns(warehouse, { schema: GOLD, name: planned.model.name });
  if (outputs === null || outputs.length !== built.length) return tableLevel(planned);
  return outputs.flatMap((sources, index) =>
    sources.map(({ table, column }) => ({
      layer: 'gold',
      tableName: planned.model.name,
      columnName: built[index]?.name ?? '',
      sourceTable: table,
      sourceColumn: column,
    })),
  );
}
