/** `forebay dlq` where a server is asked. */
import { z } from 'zod';
import { storedId } from '../../api/schemas/fields.ts';
import { ForebayError } from '../../core/errors.ts';
import type { CommandCall, RunCommand } from '../call.ts';
import {
  assertChoice,
  confirmRemoval,
  missingLetter,
  printLetters,
  printRemoved,
  printReplayed,
} from '../letter-output.ts';
import { outputFormat, readOptions } from '../options.ts';
import { withServer } from './connect.ts';
import { dropAtServer, replayAtServer, serverLetter, serverLetters } from './dead-letters.ts';
import { confirmedShape } from './options.ts';
import { show as showDocument } from './say.ts';

const shape = {
  ...confirmedShape,
  name: z.string().optional(),
  all: z.boolean().default(false),
};

/** What stands where the destination would: nothing, or already an id of a letter. */
export function asksServer({ args, options }: CommandCall): boolean {
  const [first] = args;
  return first === undefined || storedId(first) !== null || options['server'] !== undefined;
}

function refuse(message: string, fix: string): never {
  throw new ForebayError('usage', { message, fix });
}

function read({ args, options }: CommandCall) {
  if (options['set'] !== undefined) {
    refuse(
      '--set is of a destination, and a server is asked',
      'Name the destination, or leave --set out.',
    );
  }
  const place = args.find((arg) => storedId(arg) === null);
  if (place !== undefined && options['server'] !== undefined)
    refuse(
      `${JSON.stringify(place)} is no id of a dead letter of a server`,
      'Give ids as `forebay dlq list` prints them; or a destination, and no --server.',
    );
  if (place !== undefined) throw missingLetter(place);
  return readOptions(shape, options);
}

export const list: RunCommand = (call) => {
  const given = read(call);
  if (call.args.length > 0) refuse('list takes no ids', 'See one with `forebay dlq show <id>`.');
  return withServer(given, async (api) => {
    const printing = { format: outputFormat(given), terminal: call.terminal };
    printLetters(await serverLetters(api, given.name ?? null), 'resolved', printing);
    return 0;
  });
};

export const show: RunCommand = (call) => {
  const given = read(call);
  const [id] = call.args;
  if (id === undefined) assertChoice([], false);
  return withServer(given, async (api) => {
    const letter = await serverLetter(api, id ?? '');
    showDocument({ ...letter }, outputFormat(given), call.terminal);
    return 0;
  });
};

export const replay: RunCommand = (call) => {
  const given = read(call);
  const { args: ids, terminal } = call;
  assertChoice(ids, given.all);
  return withServer(given, async (api) => {
    const choice = { ids, all: given.all, pipeline: given.name ?? null };
    const rows = await replayAtServer(api, choice);
    return printReplayed(rows, { format: outputFormat(given), terminal });
  });
};

export const drop: RunCommand = (call) => {
  const given = read(call);
  const { args: ids, terminal } = call;
  assertChoice(ids, given.all);
  return withServer(given, async (api) => {
    const choice = { ids, all: given.all, pipeline: given.name ?? null };
    const removed = await dropAtServer(api, choice, (letters) =>
      confirmRemoval(letters, given.yes, terminal),
    );
    printRemoved(removed, { format: outputFormat(given), terminal });
    return 0;
  });
};
