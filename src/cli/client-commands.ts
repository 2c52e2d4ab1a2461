/** Commands that ask a server; what they do is imported when they are called. */
import type { Command } from 'commander';
import { act, collect, listOptions, type Session } from './command-parts.ts';
import type { RunCommand } from './call.ts';

const SERVER = 'address of the server (FOREBAY_SERVER, default: of the last login)';

interface Describing {
  readonly program: Command;
  readonly session: Session;
}

const asking = (command: Command): Command => listOptions(command.option('--server <url>', SERVER));

/** `forebay <noun> <verb>`. */
function verbs(
  { program, session }: Describing,
  noun: string,
  description: string,
): (verb: string, text: string, load: () => Promise<RunCommand>) => Command {
  const group = program.command(noun).description(description);
  return (verb, text, load) => act(session, asking(group.command(verb).description(text)), load);
}

const YES = ['-y, --yes', 'do not ask'] as const;
const WAIT = ['--wait', 'wait for its end, and exit with how it ended'] as const;
const NAME = 'its name or id';
const LEAVE =
  'ask no system: slot, publications and checkpoint of a deleted pipeline stay where they are';

function addConnections(describing: Describing): void {
  const load = () => import('./commands/connections.ts');
  const verb = verbs(describing, 'connections', 'Connections of the server');
  verb('list', 'List them', async () => (await load()).list);
  verb('show', 'Show one', async () => (await load()).show).argument('<connection>', NAME);
  verb('create', 'Make one', async () => (await load()).create)
    .argument('<name>', 'what it shall be called')
    .requiredOption('--type <type>', 'postgres, duckdb, ...')
    .option('--set <field=value>', 'field of its configuration; may be repeated', collect)
    .addHelpText(
      'after',
      "\nSecrets are given as '${env:NAME}' or '${file:path}':\n" +
        '  forebay connections create shop --type postgres --set host=db --set database=shop \\\n' +
        "    --set user=forebay --set 'password=${env:SHOP_PASSWORD}'",
    );
  verb('test', 'Try one, step by step', async () => (await load()).test).argument(
    '<connection>',
    NAME,
  );
  verb('catalog', 'List what can be read of one', async () => (await load()).catalog).argument(
    '<connection>',
    NAME,
  );
  verb('delete', 'Delete one that no pipeline uses', async () => (await load()).remove)
    .argument('<connection>', NAME)
    .option(...YES);
}

function addPipelines(describing: Describing): void {
  const load = () => import('./commands/pipelines.ts');
  const verb = verbs(describing, 'pipelines', 'Pipelines of the server');
  const one = (name: string, text: string, run: () => Promise<RunCommand>): Command =>
    verb(name, text, run).argument('<pipeline>', NAME);
  verb('list', 'List them', async () => (await load()).list);
  one('show', 'Show one', async () => (await load()).show);
  const controls = {
    start: 'Start a replication, or go on with it; execute a pipeline of another kind',
    stop: 'Stop a replication after what is in hand, or cancel what runs and waits of another pipeline',
    pause: 'Halt a replication; it keeps its place',
    resume: 'Let a paused replication go on',
  } as const;
  for (const action of ['start', 'stop', 'pause', 'resume'] as const) {
    one(action, controls[action], async () => (await load()).control(action));
  }
  one('resync', 'Read streams of a replication again while it goes on', async () => {
    return (await load()).resync;
  }).argument('<stream...>', 'names as the source has them, e.g. public.orders');
  one('enable', 'Let its schedule start it', async () => (await load()).activation('enable'));
  one('disable', 'Keep its schedule from starting it', async () =>
    (await load()).activation('disable'),
  );
  triggerOptions(
    one(
      'execute',
      'Start an execution',
      async () => (await import('./commands/trigger.ts')).trigger,
    ),
  );
  one('delete', 'Delete one; what it wrote stays', async () => (await load()).remove)
    .option('--leave', LEAVE)
    .option(...YES);
}

function triggerOptions(command: Command): Command {
  return command
    .option('--from <day>', 'first day that is read, UTC')
    .option('--to <day>', 'last day that is read, inclusive')
    .option('--force', 'read again what the cursor says is done')
    .option(...WAIT);
}

function addExecutions(describing: Describing): void {
  const load = () => import('./commands/executions.ts');
  const verb = verbs(describing, 'executions', 'Executions of pipelines');
  const which = 'its id, or a pipeline for its latest';
  verb('list', 'List them, newest first', async () => (await load()).list)
    .option('--pipeline <pipeline>', 'only of this one')
    .option('--status <status>', 'scheduled, running, completed, failed or cancelled')
    .option('--from <day>', 'started on this day or later, UTC')
    .option('--to <day>', 'started on this day or earlier')
    .option('--limit <count>', 'how many at most (default: 50)');
  verb('show', 'Show one', async () => (await load()).show).argument('<execution>', which);
  verb(
    'lineage',
    'List of which columns each column was made',
    async () => (await load()).lineage,
  ).argument('<execution>', which);
  verb('cancel', 'End one after what is in hand', async () => (await load()).cancel)
    .argument('<execution>', which)
    .option('--wait', 'wait for its end');
}

function addSchedules(describing: Describing): void {
  const load = () => import('./commands/schedules.ts');
  const verb = verbs(describing, 'schedules', 'Schedules of pipelines');
  const one = (name: string, text: string, run: () => Promise<RunCommand>): void => {
    verb(name, text, run).argument('<schedule>', 'its id, or the pipeline');
  };
  verb('list', 'List them with their next runs', async () => (await load()).list);
  one('show', 'Show one', async () => (await load()).show);
  one('pause', 'Keep one from starting anything', async () => (await load()).pausing('pause'));
  one('resume', 'Let one start executions again', async () => (await load()).pausing('resume'));
}

function addBackfill({ program, session }: Describing): void {
  const backfill = program
    .command('backfill')
    .description('Read days or keys of the past again, in ranges that can go on after a break')
    .argument('<pipeline>', NAME)
    .option('--from <day>', 'first day, UTC')
    .option('--to <day>', 'last day, inclusive')
    .option('--days <count>', 'days that one range covers (default: 1)')
    .option('--key <column>', 'integer column by whose values rows are read, instead of by day')
    .option('--from-key <number>', 'first key')
    .option('--to-key <number>', 'last key, inclusive')
    .option('--range-size <count>', 'keys that one range covers (default: 50000)')
    .option('--retry-of <execution>', 'id of a backfill: only what it did not read')
    .option('--parallel <count>', 'ranges that are read at once (default: 1)')
    .option('--max-rows <count>', 'begin no further range once so many rows were read')
    .option('--preview', 'say what would be read; starts nothing')
    .option(...WAIT);
  act(session, asking(backfill), async () => (await import('./commands/backfill.ts')).run);
}

function addRuns({ program, session }: Describing): void {
  const trigger = program.command('trigger').description('Start an execution of a pipeline');
  act(session, triggerOptions(asking(trigger)), async () => {
    return (await import('./commands/trigger.ts')).trigger;
  }).argument('<pipeline>', NAME);
  addBackfill({ program, session });
  const logs = program
    .command('logs')
    .description('Print the log of an execution')
    .argument('<execution>', 'its id, or a pipeline for its latest')
    .option('-f, --follow', 'go on until it ends');
  act(session, asking(logs), async () => (await import('./commands/logs.ts')).run);
  const status = program
    .command('status')
    .description('Show what all pipelines of the server do')
    .option('-w, --watch', 'go on showing it');
  act(session, asking(status), async () => (await import('./commands/status.ts')).run);
}

function addFiles({ program, session }: Describing): void {
  const apply = program
    .command('apply')
    .description('Make connections and pipelines of the server as files say')
    .requiredOption('-f, --file <path>', 'file or folder; may be repeated', collect)
    .option('--plan', 'say what would change; changes nothing')
    .option('--detailed-exitcode', 'with --plan: exit with 2 if something would change')
    .option('--prune', 'delete what the files do not name')
    .option('--leave', LEAVE)
    .option('--secrets-again', 'send secrets that the server has already, too')
    .option(...YES);
  act(session, asking(apply), async () => (await import('./commands/apply.ts')).run);
  const write = program
    .command('export')
    .description('Write connections and pipelines of the server as files for apply')
    .requiredOption('-d, --directory <folder>', 'where they are written')
    .option('--force', 'replace files that say something else');
  act(session, asking(write), async () => (await import('./commands/export.ts')).run);
}

function addAccess({ program, session }: Describing): void {
  const login = program
    .command('login')
    .description('Log in to a server, and use it from then on')
    .argument('<url>', 'e.g. https://forebay.example.org')
    .option('--token-stdin', 'read a token from stdin instead of asking for a password');
  act(session, login, async () => (await import('./commands/login.ts')).run);
  const logout = program
    .command('logout')
    .description('Forget the token of a server')
    .option('--server <url>', SERVER);
  act(session, logout, async () => (await import('./commands/login.ts')).logout);
  const token = listOptions(
    program
      .command('setup-token')
      .description('Make a token for the first admin, on the machine of the server')
      .option('--data-dir <folder>', 'of the server (FOREBAY_DATA_DIR, default: .forebay)'),
  );
  act(session, token, async () => (await import('./commands/setup-token.ts')).run);
}

export function addClient(program: Command, session: Session): void {
  const describing = { program, session };
  program.commandsGroup('Ask a server:');
  addAccess(describing);
  addConnections(describing);
  addPipelines(describing);
  addExecutions(describing);
  addSchedules(describing);
  addRuns(describing);
  addFiles(describing);
}
