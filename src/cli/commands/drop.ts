import { z } from 'zod';
import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { ConnectorContext, Destination, Source } from '../../core/connector.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { dropPipeline, listLeftovers } from '../../engine/drop.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { confirm } from '../confirm.ts';
import { throwAll } from '../failure.ts';
import { withInterruption } from '../interruption.ts';
import { printDocument } from '../list-output.ts';
import { listShape, outputFormat, parseOptions, selectionShape } from '../options.ts';
import { derivePipelineName } from '../pipeline-name.ts';
import { scrubSecrets } from '../scrub.ts';
import { checkSettings, lookContext, type Settings, tryResolve } from '../systems.ts';
import type { Terminal } from '../terminal.ts';

interface DropCall {
  readonly name: string;
  /** Whether the user named the pipeline: a side may then be gone. */
  readonly named: boolean;
  readonly source: NamedSystem | null;
  readonly destination: NamedSystem | null;
  readonly settings: Settings;
  readonly yes: boolean;
  readonly format: ReturnType<typeof outputFormat>;
}

const GONE = '-';
const dropShape = { ...listShape, ...selectionShape, yes: z.boolean().default(false) };

async function resolveSide(text: string) {
  return text === GONE ? { system: null, error: null } : await tryResolve(text);
}

async function readDropCall({ args, options }: CommandCall): Promise<DropCall> {
  const parsed = parseOptions(dropShape, options);
  const [source, destination] = await Promise.all([
    resolveSide(args[0] ?? ''),
    resolveSide(args[1] ?? ''),
  ]);
  const sides = [source, destination];
  const unnamed =
    options['name'] === undefined &&
    sides.some(({ system, error }) => system === null && error === null);
  throwAll([
    ...sides.flatMap(({ error }) => error ?? []),
    ...parsed.errors,
    ...(unnamed
      ? [
          new ForebayError('usage', {
            message: 'With - for a side, --name must tell the pipeline',
            fix: 'Add --name; the destination lists its pipelines in _forebay.checkpoints.',
          }),
        ]
      : []),
  ]);
  const { value } = parsed;
  if (value === null) throw new ForebayError('internal', { message: 'options without a value' });
  throwAll(checkSettings(value.set, [source.system, destination.system]));
  return {
    name: value.name ?? deriveName(source.system, destination.system, value),
    named: value.name !== undefined,
    source: source.system,
    destination: destination.system,
    settings: value.set,
    yes: value.yes,
    format: outputFormat(value),
  };
}

function deriveName(
  source: NamedSystem | null,
  destination: NamedSystem | null,
  options: z.output<z.ZodObject<typeof dropShape>>,
): string {
  if (source === null || destination === null)
    throw new ForebayError('internal', { message: 'no name to derive' });
  return derivePipelineName({
    source: source.address,
    destination: destination.address,
    selection: options.streams ?? [],
    targetNamespace: options.schema ?? null,
    load: options.load,
  });
}

/** A side that cannot be reached is passed over, with a word, when the pipeline was named. */
async function openSide<T extends Source | Destination>(
  open: (() => Promise<T>) | null,
  named: boolean,
  terminal: Terminal,
): Promise<T | null> {
  if (open === null) return null;
  try {
    return await open();
  } catch (error) {
    const known = asForebayError(error);
    const isGone = ['unreachable', 'database_missing', 'timeout', 'server_starting'].includes(
      known.code,
    );
    if (!named || !isGone) throw known;
    terminal.err(scrubSecrets(`Passed over: ${known.message}\n`));
    return null;
  }
}

async function dropOpened(
  call: DropCall,
  sides: { readonly source: Source | null; readonly destination: Destination | null },
  terminal: Terminal,
): Promise<void> {
  const { name, format, yes } = call;
  const { source, destination } = sides;
  const leftovers = await listLeftovers(name, source, destination);
  if (leftovers.length === 0) {
    throw new ForebayError('pipeline_missing', {
      message: `Nothing is left of a pipeline ${name}`,
    });
  }
  terminal.err(`Pipeline ${name}: this will be removed (the data stays):\n`);
  for (const { kind, name: what } of leftovers) terminal.err(`  - ${kind} ${what}\n`);
  if (!(await confirm('Remove it?', yes, terminal))) {
    throw new ForebayError('interrupted', { message: 'Nothing was removed' });
  }
  await dropPipeline(name, source, destination);
  if (format === 'table') terminal.out(`Removed pipeline ${name}.\n`);
  else printDocument({ pipeline: name, removed: leftovers }, format, terminal);
}

export const run: RunCommand = async (call) => {
  const drop = await readDropCall(call);
  const { source, destination, settings, named } = drop;
  await withInterruption(async (signal) => {
    const context: ConnectorContext = lookContext(signal, settings);
    await using from = await openSide(
      source === null ? null : () => openSource(source, context),
      named,
      call.terminal,
    );
    await using into = await openSide(
      destination === null ? null : () => openDestination(destination, context),
      named,
      call.terminal,
    );
    await dropOpened(drop, { source: from, destination: into }, call.terminal);
  });
  return 0;
};
