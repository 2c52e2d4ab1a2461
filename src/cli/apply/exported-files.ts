/** Files that say of a server what it has. Pure. */
import type { Connection, Pipeline } from '../client/find.ts';
import { toYaml } from '../yaml.ts';
import { namesOf, pipelineContent, storedSecrets } from './change-plan.ts';
import type { Live } from './desired.ts';

export interface ExportedFile {
  /** Without a folder. */
  readonly name: string;
  readonly text: string;
  /** Environment variables that stand in it. */
  readonly variables: readonly string[];
}

/** Gives each text a form of its own, in the order in which they come. */
class OwnNames {
  readonly #taken = new Set<string>();
  readonly #separator: string;

  constructor(separator: string) {
    this.#separator = separator;
  }

  take(wished: string): string {
    let name = wished;
    for (let number = 2; this.#taken.has(name.toLowerCase()); number += 1) {
      name = `${wished}${this.#separator}${number}`;
    }
    this.#taken.add(name.toLowerCase());
    return name;
  }
}

const LONGEST = 60;

const words = (text: string): readonly string[] => text.match(/[A-Za-z0-9]+/g) ?? [];

function fileName(kind: string, name: string, files: OwnNames): string {
  const slug = words(name).join('-').toLowerCase().slice(0, LONGEST);
  return `${files.take(slug === '' ? kind : `${kind}-${slug}`)}.yaml`;
}

function variableName(connection: string, field: string): string {
  const all = [...words(connection), ...words(field)].join('_').toUpperCase();
  return /^\d/.test(all) ? `FOREBAY_${all}` : all;
}

/** A text that looks like a reference stands for itself. */
const escaped = (value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll('${', () => '$${') : value;

function connectionFile(row: Connection, files: OwnNames, variables: OwnNames): ExportedFile {
  const secrets = storedSecrets(row);
  const named: string[] = [];
  const config = Object.entries(row.config).map(([field, value]) => {
    if (!secrets.has(field)) return [field, escaped(value)] as const;
    const variable = variables.take(variableName(row.name, field));
    named.push(variable);
    return [field, `\${env:${variable}}`] as const;
  });
  const { name, connector_type } = row;
  const document = { kind: 'connection', name, connector_type, config: Object.fromEntries(config) };
  return { name: fileName('connection', name, files), text: toYaml(document), variables: named };
}

/** The pipeline's own `kind` has the name that the API gives it beside `kind: pipeline` of the file. */
function pipelineFile(row: Pipeline, live: Live, files: OwnNames): ExportedFile {
  const { kind, ...content } = pipelineContent(row, namesOf(live));
  const document = { kind: 'pipeline', pipeline_kind: kind, ...content };
  return { name: fileName('pipeline', row.name, files), text: toYaml(document), variables: [] };
}

export function exportedFiles(live: Live): readonly ExportedFile[] {
  const [files, variables] = [new OwnNames('-'), new OwnNames('_')];
  const byName = (left: { readonly name: string }, right: { readonly name: string }): number =>
    left.name < right.name ? -1 : 1;
  return [
    ...live.connections.toSorted(byName).map((row) => connectionFile(row, files, variables)),
    ...live.pipelines.toSorted(byName).map((row) => pipelineFile(row, live, files)),
  ];
}
