/**
 * Follows values through a query's tree, as DuckDB's `json_serialize_sql` gives it. A column comes from every column
 * in its expression, conditions of CASE and windows included; conditions of rows (WHERE, JOIN ON, GROUP BY) are not
 * followed. What is not known here makes the whole query not followed, rather than in part.
 */

export interface SourceColumn {
  /** With its schema. */
  readonly table: string;
  readonly column: string;
}

export type ColumnsOf = (schema: string, table: string) => Promise<readonly string[]>;

interface OutputColumn {
  readonly name: string;
  readonly sources: readonly SourceColumn[];
}

interface Relation {
  /** What qualifies its columns: an alias, or a table's name. */
  readonly name: string;
  readonly columns: readonly OutputColumn[];
}

interface Scope {
  readonly relations: readonly Relation[];
  readonly ctes: ReadonlyMap<string, readonly OutputColumn[]>;
  readonly outer: Scope | null;
}

type Tree = Readonly<Record<string, unknown>>;

class NotFollowed extends Error {}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tree(value: unknown): Tree {
  if (isTree(value)) return value;
  throw new NotFollowed();
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): string[] {
  return list(value).filter((item) => typeof item === 'string');
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function merge(groups: readonly (readonly SourceColumn[])[]): readonly SourceColumn[] {
  const found = new Map<string, SourceColumn>();
  for (const source of groups.flat()) found.set(JSON.stringify(source), source);
  return [...found.values()];
}

function rename(columns: readonly OutputColumn[], names: readonly string[]): OutputColumn[] {
  return columns.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
}

function findColumn(relations: readonly Relation[], name: string): OutputColumn[] {
  return relations.flatMap(({ columns }) => columns.filter((column) => same(column.name, name)));
}

/** A name of one part is a column; of more, a relation and its column, or a column and its fields. */
function resolve(names: readonly string[], scope: Scope): readonly SourceColumn[] {
  const [first = '', second] = names;
  for (let at: Scope | null = scope; at !== null; at = at.outer) {
    const { relations } = at;
    for (const [part, name] of names.slice(0, -1).entries()) {
      const relation = relations.filter((candidate) => same(candidate.name, name));
      const found = findColumn(relation, names[part + 1] ?? '');
      if (found.length > 0) return merge(found.map(({ sources }) => sources));
    }
    const found = findColumn(relations, first);
    if (found.length > 0) return merge(found.map(({ sources }) => sources));
  }
  // The parameter of a lambda has one part and no source; a relation that is not known is another matter.
  if (second !== undefined) throw new NotFollowed();
  return [];
}

class Walk {
  readonly #columnsOf: ColumnsOf;

  constructor(columnsOf: ColumnsOf) {
    this.#columnsOf = columnsOf;
  }

  async query(node: Tree, outer: Scope): Promise<OutputColumn[]> {
    const scope = await this.#ctes(node, outer);
    switch (node['type']) {
      case 'SELECT_NODE':
        return this.#select(node, scope);
      case 'SET_OPERATION_NODE': {
        const left = await this.query(tree(node['left']), scope);
        const right = await this.query(tree(node['right']), scope);
        return left.map(({ name, sources }, index) => ({
          name,
          sources: merge([sources, right[index]?.sources ?? []]),
        }));
      }
      case 'RECURSIVE_CTE_NODE':
        return this.#recursive(node, scope);
      default:
        throw new NotFollowed();
    }
  }

  /** What the recursion adds is followed once more than it is named: sources do not grow after that. */
  async #recursive(node: Tree, scope: Scope): Promise<OutputColumn[]> {
    const name = text(node['cte_name']).toLowerCase();
    const aliases = texts(node['aliases']);
    let columns = rename(await this.query(tree(node['left']), scope), aliases);
    for (let round = 0; round <= columns.length; round += 1) {
      const ctes = new Map(scope.ctes).set(name, columns);
      const added = await this.query(tree(node['right']), { ...scope, ctes });
      columns = columns.map((column, index) => ({
        ...column,
        sources: merge([column.sources, added[index]?.sources ?? []]),
      }));
    }
    return columns;
  }

  async #ctes(node: Tree, outer: Scope): Promise<Scope> {
    const map = isTree(node['cte_map']) ? list(node['cte_map']['map']) : [];
    let scope: Scope = { relations: outer.relations, ctes: outer.ctes, outer: outer.outer };
    for (const item of map) {
      const entry = tree(item);
      const value = tree(entry['value']);
      const query = tree(tree(value['query'])['node']);
      const columns = rename(await this.query(query, scope), texts(value['aliases']));
      scope = {
        ...scope,
        ctes: new Map(scope.ctes).set(text(entry['key']).toLowerCase(), columns),
      };
    }
    return scope;
  }

  async #select(node: Tree, outer: Scope): Promise<OutputColumn[]> {
    const empty: Scope = { relations: [], ctes: outer.ctes, outer };
    const relations = await this.#from(tree(node['from_table']), empty);
    const scope: Scope = { ...empty, relations };
    const output: OutputColumn[] = [];
    for (const item of list(node['select_list'])) {
      const expression = tree(item);
      if (expression['class'] === 'STAR') output.push(...star(expression, scope));
      else {
        // DuckDB lets an expression use names that stand before it in the list.
        const named = { name: '', columns: output.filter(({ name }) => name !== '') };
        const sources = await this.#sources(expression, {
          relations: [],
          ctes: scope.ctes,
          outer: { ...scope, outer: { relations: [named], ctes: scope.ctes, outer: scope.outer } },
        });
        output.push({ name: nameOf(expression), sources });
      }
    }
    return output;
  }

  async #from(node: Tree, scope: Scope): Promise<Relation[]> {
    const alias = text(node['alias']);
    const aliases = texts(node['column_name_alias']);
    switch (node['type']) {
      case 'EMPTY':
        return [];
      case 'BASE_TABLE':
        return [await this.#table(node, scope)];
      case 'SUBQUERY': {
        const columns = await this.query(tree(tree(node['subquery'])['node']), scope);
        return [{ name: alias, columns: rename(columns, aliases) }];
      }
      case 'EXPRESSION_LIST': {
        const width = list(list(node['values'])[0]).length;
        const columns = Array.from({ length: width }, (_, index) => ({
          name: `col${index}`,
          sources: [],
        }));
        return [{ name: alias, columns: rename(columns, aliases) }];
      }
      case 'JOIN':
        return this.#join(node, scope);
      default:
        throw new NotFollowed();
    }
  }

  async #table(node: Tree, scope: Scope): Promise<Relation> {
    const schema = text(node['schema_name']);
    const table = text(node['table_name']);
    const name = text(node['alias']) || table;
    const aliases = texts(node['column_name_alias']);
    const cte = schema === '' ? scope.ctes.get(table.toLowerCase()) : undefined;
    if (cte !== undefined) return { name, columns: rename(cte, aliases) };
    const columns = await this.#columnsOf(schema, table);
    if (columns.length === 0) throw new NotFollowed();
    const known = columns.map((column) => ({
      name: column,
      sources: [{ table: `${schema}.${table}`, column }],
    }));
    return { name, columns: rename(known, aliases) };
  }

  /** Columns that both sides share by USING or NATURAL come once, from both. */
  async #join(node: Tree, scope: Scope): Promise<Relation[]> {
    const left = await this.#from(tree(node['left']), scope);
    const right = await this.#from(tree(node['right']), {
      ...scope,
      relations: [...scope.relations, ...left],
    });
    const common = (name: string): boolean =>
      node['ref_type'] === 'NATURAL' && findColumn(left, name).length > 0;
    const using = texts(node['using_columns']);
    const shared = (name: string): boolean =>
      common(name) || using.some((column) => same(column, name));
    const merged = left.map((relation) => ({
      ...relation,
      columns: relation.columns.map((column) =>
        shared(column.name)
          ? {
              ...column,
              sources: merge([
                column.sources,
                ...findColumn(right, column.name).map((c) => c.sources),
              ]),
            }
          : column,
      ),
    }));
    const rest = right.map((relation) => ({
      ...relation,
      columns: relation.columns.filter(({ name }) => !shared(name)),
    }));
    return [...merged, ...rest];
  }

  async #sources(value: unknown, scope: Scope): Promise<readonly SourceColumn[]> {
    if (Array.isArray(value)) {
      const groups: (readonly SourceColumn[])[] = [];
      for (const item of value) groups.push(await this.#sources(item, scope));
      return merge(groups);
    }
    if (!isTree(value)) return [];
    if (value['class'] === 'COLUMN_REF') return resolve(texts(value['column_names']), scope);
    if (value['class'] === 'STAR') throw new NotFollowed();
    if (value['class'] === 'SUBQUERY') {
      const columns = await this.query(tree(tree(value['subquery'])['node']), scope);
      const child = await this.#sources(value['child'], scope);
      return merge([child, ...columns.map(({ sources }) => sources)]);
    }
    return this.#sources(Object.values(value), scope);
  }
}

function star(expression: Tree, scope: Scope): readonly OutputColumn[] {
  const changed = ['replace_list', 'rename_list', 'qualified_exclude_list'].some(
    (name) => list(expression[name]).length > 0,
  );
  if (changed || expression['columns'] === true) throw new NotFollowed();
  const relation = text(expression['relation_name']);
  const excluded = texts(expression['exclude_list']);
  return scope.relations
    .filter(({ name }) => relation === '' || same(name, relation))
    .flatMap(({ columns }) => columns)
    .filter(({ name }) => !excluded.some((other) => same(other, name)));
}

function nameOf(expression: Tree): string {
  return (
    text(expression['alias']) ||
    texts(expression['column_names']).at(-1) ||
    text(expression['function_name'])
  );
}

/** Sources of each column that the query gives, in their order; null where it cannot be followed. */
export async function queryLineage(
  parsed: unknown,
  columnsOf: ColumnsOf,
): Promise<readonly (readonly SourceColumn[])[] | null> {
  if (!isTree(parsed) || parsed['error'] !== false) return null;
  const statements = list(parsed['statements']);
  if (statements.length !== 1) return null;
  try {
    const outside: Scope = { relations: [], ctes: new Map(), outer: null };
    const columns = await new Walk(columnsOf).query(tree(tree(statements[0])['node']), outside);
    return columns.map(({ sources }) => sources);
  } catch (error) {
    if (error instanceof NotFollowed) return null;
    throw error;
  }
}
