import { z } from 'zod';
import type { DeadLetter, DeadLetterStore } from '../../core/dead-letter.ts';
import type { ExitCode } from '../../core/errors.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import { throwAll } from '../failure.ts';
import { withInterruption } from '../interruption.ts';
import {
  assertChoice,
  confirmRemoval,
  missingLetter,
  printLetters,
  printRemoved,
  printReplayed,
} from '../letter-output.ts';
import { printDocument } from '../list-output.ts';
import { listShape, nameShape, outputFormat, readOptions, settingsShape } from '../options.ts';
import { openDestination } from '../../connectors/registry.ts';
import { checkSettings, lookContext, tryResolve } from '../systems.ts';

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

/** A server where no destination is named, else as it is done here. */
function atServerOr(verb: 'list' | 'show' | 'replay' | 'drop', here: RunCommand): RunCommand {
  return async (call) => {
    const commands = await import('../client/letter-commands.ts');
    return await (commands.asksServer(call) ? commands[verb] : here)(call);
  };
}

export const list = atServerOr('list', (call) =>
  withStore(call, async (store, options) => {
    const rows = await store.list(options.name ?? null);
    const printing = { format: outputFormat(options), terminal: call.terminal };
    printLetters(rows, 'replayed', printing);
    return 0;
  }),
);

export const show = atServerOr('show', (call) =>
  withStore(call, async (store, options) => {
    const [, id = ''] = call.args;
    assertChoice(call.args.slice(1), false);
    const letter = await store.get(id);
    if (letter === null) throw missingLetter(id);
    const format = outputFormat(options);
    // A letter is one document; a table of one row would cut its payload.
    printDocument({ ...letter }, format === 'table' ? 'yaml' : format, call.terminal);
    return 0;
  }),
);

/** The ids that were named, or all: every one must be there. */
async function chosen(
  call: CommandCall,
  store: Store,
  options: DlqOptions,
): Promise<readonly Letter[]> {
  const ids = call.args.slice(1);
  assertChoice(ids, options.all);
  const letters = await store.list(options.name ?? null);
  if (options.all) return letters;
  throwAll(ids.filter((id) => !letters.some((letter) => letter.id === id)).map(missingLetter));
  return letters.filter(({ id }) => ids.includes(id));
}

export const replay = atServerOr('replay', (call) =>
  withStore(call, async (store, options) => {
    const letters = await chosen(call, store, options);
    const ids = letters
      .filter(({ replayedAt }) => !options.all || replayedAt === null)
      .map(({ id }) => id);
    const rows = ids.length === 0 ? [] : await store.replay(ids);
    return printReplayed(rows, { format: outputFormat(options), terminal: call.terminal });
  }),
);

export const drop = atServerOr('drop', (call) =>
  withStore(call, async (store, options) => {
    const letters = await chosen(call, store, options);
    const { terminal } = call;
    if (letters.length > 0) await confirmRemoval(letters.length, options.yes, terminal);
    const removed = letters.length === 0 ? 0 : await store.remove(letters.map(({ id }) => id));
    printRemoved(removed, { format: outputFormat(options), terminal });
    return 0;
  }),
);
