import { z } from 'zod';
import type { DeadLetter, DeadLetterStore } from '../../core/dead-letter.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { confirm } from '../confirm.ts';
import { throwAll } from '../failure.ts';
import { withInterruption } from '../interruption.ts';
import { printDocument, printListing } from '../list-output.ts';
import { listShape, nameShape, outputFormat, readOptions, settingsShape } from '../options.ts';
import { openDestination } from '../../connectors/registry.ts';
import { checkSettings, lookContext, tryResolve } from '../systems.ts';
import type { TableColumn } from '../table.ts';

type Letter = Omit<DeadLetter, 'payload'>;
type Store = Omit<DeadLetterStore, 'page'>;

const shape = {
  ...listShape,
  ...nameShape,
  ...settingsShape,
  all: z.boolean().default(false),
  yes: z.boolean().default(false),
};
type DlqOptions = z.output<z.ZodObject<typeof shape>>;

/** A file by its ending; a system has a scheme before anything else. */
const CONFIGURATION_FILE = /^(?!\w{2,}:).*\.(?:ya?ml|json)$/i;

/** Of the streams of a configuration file, which know the transformations that letters go through again. */
async function withStreams(
  call: CommandCall,
  act: (store: Store, options: DlqOptions) => Promise<ExitCode>,
): Promise<ExitCode> {
  const options = readOptions(shape, call.options);
  const [{ readConfiguration }, { StreamLetters }] = await Promise.all([
    import('../configuration-file.ts'),
    import('../../service/stream-letters.ts'),
  ]);
  const loaded = readConfiguration(call.args[0] ?? '', call.terminal);
  if (loaded === null) return 2;
  return await withInterruption(async (signal) => {
    await using store = new StreamLetters(loaded, lookContext(signal, options.set));
    return await act(store, options);
  });
}

async function withStore(
  call: CommandCall,
  act: (store: Store, options: DlqOptions) => Promise<ExitCode>,
): Promise<ExitCode> {
  if (CONFIGURATION_FILE.test(call.args[0] ?? '')) return await withStreams(call, act);
  const options = readOptions(shape, call.options);
  const { system, error } = await tryResolve(call.args[0] ?? '');
  if (system === null) throw error;
  throwAll(checkSettings(options.set, [system]));
  return await withInterruption(async (signal) => {
    await using destination = await openDestination(system, lookContext(signal, options.set));
    return await act(destination.deadLetters, options);
  });
}

const COLUMNS: readonly TableColumn<Letter>[] = [
  { title: 'id', cell: ({ id }) => id },
  { title: 'at', cell: ({ at }) => at },
  { title: 'pipeline', cell: ({ pipeline }) => pipeline },
  { title: 'stream', cell: ({ stream }) => stream },
  { title: 'op', cell: ({ op }) => op },
  { title: 'code', cell: ({ code }) => code },
  { title: 'reason', cell: ({ reason }) => reason },
  { title: 'replayed', cell: ({ replayedAt }) => replayedAt ?? '-' },
];

export const list: RunCommand = (call) =>
  withStore(call, async (store, options) => {
    const rows = await store.list(options.name ?? null);
    const empty = 'There are no dead letters.';
    printListing(
      { key: 'deadLetters', rows, columns: COLUMNS, empty },
      outputFormat(options),
      call.terminal,
    );
    return 0;
  });

function missing(id: string): ForebayError {
  return new ForebayError('dlq_entry_missing', {
    message: `There is no dead letter ${JSON.stringify(id)}`,
  });
}

export const show: RunCommand = (call) =>
  withStore(call, async (store, options) => {
    const id = call.args[1] ?? '';
    const letter = await store.get(id);
    if (letter === null) throw missing(id);
    const format = outputFormat(options);
    // A letter is one document; a table of one row would cut its payload.
    printDocument({ ...letter }, format === 'table' ? 'yaml' : format, call.terminal);
    return 0;
  });

/** The ids that were named, or all: every one must be there. */
async function chosen(
  call: CommandCall,
  store: Store,
  options: DlqOptions,
): Promise<readonly Letter[]> {
  const ids = call.args.slice(1);
  if ((ids.length === 0) !== options.all) {
    throw new ForebayError('usage', {
      message: options.all ? 'Both ids and --all were given' : 'No dead letter was named',
      fix: 'Give ids as `forebay dlq list` prints them, or --all.',
    });
  }
  const letters = await store.list(options.name ?? null);
  if (options.all) return letters;
  throwAll(ids.filter((id) => !letters.some((letter) => letter.id === id)).map(missing));
  return letters.filter(({ id }) => ids.includes(id));
}

interface Replayed {
  readonly id: string;
  readonly error: string | null;
}

export const replay: RunCommand = (call) =>
  withStore(call, async (store, options) => {
    const letters = await chosen(call, store, options);
    const ids = letters
      .filter(({ replayedAt }) => !options.all || replayedAt === null)
      .map(({ id }) => id);
    const rows: readonly Replayed[] = ids.length === 0 ? [] : await store.replay(ids);
    const columns: readonly TableColumn<Replayed>[] = [
      { title: 'id', cell: ({ id }) => id },
      { title: 'result', cell: ({ error }) => error ?? 'applied' },
    ];
    const empty = 'There is nothing to replay.';
    printListing({ key: 'replayed', rows, columns, empty }, outputFormat(options), call.terminal);
    return rows.some(({ error }) => error !== null) ? 5 : 0;
  });

export const drop: RunCommand = (call) =>
  withStore(call, async (store, options) => {
    const letters = await chosen(call, store, options);
    if (letters.length > 0) {
      const question = `Remove ${letters.length} dead letters for good?`;
      if (!(await confirm(question, options.yes, call.terminal))) {
        throw new ForebayError('interrupted', { message: 'Nothing was removed' });
      }
    }
    const removed = letters.length === 0 ? 0 : await store.remove(letters.map(({ id }) => id));
    const format = outputFormat(options);
    if (format === 'table') call.terminal.out(`Removed ${removed} dead letters.\n`);
    else printDocument({ removed }, format, call.terminal);
    return 0;
  });
