/** Commands, arguments and options. What a command does is imported when it is called, so that help is quick. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { asForebayError, type ExitCode, ForebayError } from '../core/errors.ts';
import { addClient } from './client-commands.ts';
import { act, collect, listOptions, type Session } from './command-parts.ts';
import { SeveralErrors, printError } from './failure.ts';
import type { Terminal } from './terminal.ts';

const SYSTEMS = `
A system is a URL, or env:NAME for a URL in an environment variable:
  postgres://user:password@host:5432/database   PostgreSQL
  duckdb:path/to/file.duckdb                    DuckDB
`;

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version: number } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return number;
}

function selectionOptions(command: Command): Command {
  return command
    .option(
      '--name <pipeline>',
      'name of the pipeline (default: derived, so that the same command resumes)',
    )
    .option(
      '--streams <globs>',
      "tables, e.g. 'public.*,!public.audit_*' (default: all that may be read)",
      collect,
    )
    .option('--schema <name>', "schema at the destination (default: the source's)")
    .option('--load <method>', 'upsert, append or replace (default: upsert)')
    .option(
      '--set <key=value>',
      'option of a connector, e.g. duckdb.memory-mib=512; may be repeated',
      collect,
    );
}

function pipelineOptions(command: Command): Command {
  return selectionOptions(command)
    .option('--deletes <method>', 'hard, soft or ignore (default: hard)')
    .option('--schema-changes <policy>', 'evolve, pause or ignore (default: evolve)')
    .option('--batch-rows <count>', 'changes applied at once, at most (default: 20000)')
    .option('--batch-ms <milliseconds>', 'how long changes are gathered, at most (default: 200)')
    .option('--memory-mib <MiB>', 'memory for rows on their way (default: 256)')
    .option('--parallel <count>', 'chunks of the snapshot read at once (default: by processors)')
    .option(
      '--error-budget <rows>',
      'changes that the destination may refuse before the run ends (default: 1000)',
    )
    .option(
      '--retry-for <duration>',
      'how long a lost connection is tried again, e.g. 90s, 5m, 1h30m',
    );
}

function pipelineCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('<source>', 'URL or env:NAME')
    .argument('<destination>', 'URL or env:NAME');
}

function addServing(program: Command, session: Session): void {
  program.commandsGroup('Serve:');
  const server = program
    .command('server')
    .description('Run the control plane: API, schedules and executions')
    .option('--data-dir <folder>', 'where its files are (FOREBAY_DATA_DIR, default: .forebay)')
    .option('--host <host>', 'address to listen on (FOREBAY_HOST, default: 127.0.0.1)')
    .option('--port <port>', 'port of the API (FOREBAY_PORT, default: 8004)')
    .option('--grpc-port <port>', 'its port for gRPC (FOREBAY_GRPC_PORT, default: 9004)')
    .option(
      '--config <file>',
      'what it is told (FOREBAY_CONFIG, default: forebay.yaml beside the data folder)',
    )
    .option('--json', 'the log as JSON lines');
  act(session, server, async () => (await import('./commands/server.ts')).run);
  const worker = program
    .command('worker')
    .description('Do the work of a Temporal cluster (FOREBAY_TEMPORAL_ADDRESS)')
    .option('--data-dir <folder>', 'where the models are (FOREBAY_DATA_DIR, default: .forebay)')
    .option(
      '--config <file>',
      'what it is told (FOREBAY_CONFIG, default: forebay.yaml beside the data folder)',
    )
    .option('--json', 'the log as JSON lines');
  act(session, worker, async () => (await import('./commands/worker.ts')).run);
}

function addMoving(program: Command, session: Session): void {
  program.commandsGroup('Move data:');
  const json = 'progress as JSON lines on stderr, the result as the last line of stdout';
  const copy = pipelineOptions(
    pipelineCommand(program, 'copy', 'Copy one consistent snapshot, then end'),
  ).option('--json', json);
  act(session, copy, async () => (await import('./commands/copy.ts')).run);
  const replicate = pipelineOptions(
    pipelineCommand(program, 'replicate', 'Copy a snapshot, then follow the changes until stopped'),
  )
    .option('--until-caught-up', 'end when all that was committed before the start is applied')
    .option('--json', json);
  act(session, replicate, async () => (await import('./commands/replicate.ts')).run);
  const plan = listOptions(
    pipelineOptions(
      program
        .command('plan')
        .description('Say what would happen; touches nothing')
        .argument('<source>', 'URL or env:NAME, or a configuration file alone')
        .argument('[destination]', 'URL or env:NAME'),
    ),
  ).option('--detailed-exitcode', 'exit with 2 if a run would make or change something');
  act(session, plan, async () => (await import('./commands/plan.ts')).run);
  const service = program
    .command('run')
    .description('Run every enabled stream of a configuration file, and take its edits')
    .argument('<config>', 'YAML or JSON file')
    .option('--until-caught-up', 'end when all that was committed before the start is applied')
    .option('--json', 'the result as the last line of stdout');
  act(session, service, async () => (await import('./commands/run.ts')).run);
  const recover = pipelineOptions(
    pipelineCommand(
      program,
      'recover',
      'After a lost position: take a new one, compare and repair',
    ),
  ).option('--json', json);
  act(session, recover, async () => (await import('./commands/recover.ts')).run);
  const drop = listOptions(
    selectionOptions(
      pipelineCommand(program, 'drop', 'Remove what a pipeline keeps in both systems, but no data'),
    ),
  )
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', '\nWith --name, write - for a side that is gone.');
  act(session, drop, async () => (await import('./commands/drop.ts')).run);
}

function addTransforming(program: Command, session: Session): void {
  program.commandsGroup('Transform:');
  const transform = program
    .command('transform')
    .description('Transform JSON documents, one a line, from stdin to stdout')
    .requiredOption('--type <type>', 'kazaam or custom')
    .requiredOption('--spec <file>', 'the specification')
    .option(
      '--mode <mode>',
      "of kazaam: compat (with upstream's errors) or strict (default: compat)",
    )
    .option('--dialect <dialect>', 'of kazaam: kazaam or extended (default: kazaam)')
    .addHelpText(
      'after',
      '\nA document that fails gives {"error":{"code","message"}} on its line, and exit 5 at the end.',
    );
  act(session, transform, async () => (await import('./commands/transform.ts')).run);
}

function addLooking(program: Command, session: Session): void {
  program.commandsGroup('Look:');
  const check = listOptions(
    program
      .command('check')
      .description('Check that a system is ready, with the fix of what is not'),
  )
    .argument('<system>', 'URL or env:NAME')
    .option('--as <role>', 'source or destination (default: whatever it can be)')
    .option('--set <key=value>', 'option of a connector; may be repeated', collect);
  act(session, check, async () => (await import('./commands/check.ts')).run);
  const discover = listOptions(
    program.command('discover').description('List the tables of a source'),
  )
    .argument('<system>', 'URL or env:NAME')
    .option('--columns', 'list the columns too')
    .option('--set <key=value>', 'option of a connector; may be repeated', collect);
  act(session, discover, async () => (await import('./commands/discover.ts')).run);
  const connectors = listOptions(
    program.command('connectors').description('List the systems and what each can do'),
  );
  act(session, connectors, async () => (await import('./commands/connectors.ts')).run);
  const validate = listOptions(
    program
      .command('validate')
      .description('Check a configuration file: every violation at once, with its place'),
  )
    .argument('<config.yaml>', 'configuration file, YAML or JSON')
    .option('--strict', 'variables and files that the file refers to must be there');
  act(session, validate, async () => (await import('./commands/validate.ts')).run);
  addPositions(program, session);
  addDeadLetters(program, session);
  const failpoints = listOptions(
    program
      .command('failpoints')
      .description('List the places where FOREBAY_FAILPOINTS can break a run'),
  );
  act(session, failpoints, async () => (await import('./commands/failpoints.ts')).run);
}

function addPositions(program: Command, session: Session): void {
  const positions = listOptions(
    program
      .command('positions')
      .description('Show where the streams of a configuration file stand'),
  )
    .argument('<config>', 'YAML or JSON file')
    .option('--history', 'earlier checkpoints too');
  act(session, positions, async () => (await import('./commands/positions.ts')).run);
}

function addDeadLetters(program: Command, session: Session): void {
  const dlq = program
    .command('dlq')
    .description('Look at, replay or remove rows that the destination refused');
  const load = async () => await import('./commands/dlq.ts');
  const sub = (name: string, description: string): Command =>
    listOptions(dlq.command(name).description(description))
      .argument('[destination]', 'URL or env:NAME, or a configuration file; left out: the server')
      .option(
        '--server <url>',
        'address of the server (FOREBAY_SERVER, default: of the last login)',
      )
      .option('--set <key=value>', 'option of a connector; may be repeated', collect);
  const name = ['--name <pipeline>', 'only of this pipeline'] as const;
  act(
    session,
    sub('list', 'List the dead letters').option(...name),
    async () => (await load()).list,
  );
  const show = sub('show', 'Show one with its payload').argument('[id]', 'as listed');
  act(session, show, async () => (await load()).show);
  const replay = sub('replay', 'Write them again, in their order')
    .argument('[ids...]', 'as listed')
    .option('--all', 'every one that was not replayed yet')
    .option(...name);
  act(session, replay, async () => (await load()).replay);
  const drop = sub('drop', 'Remove them')
    .argument('[ids...]', 'as listed')
    .option('--all', 'every one')
    .option(...name)
    .option('-y, --yes', 'do not ask');
  act(session, drop, async () => (await load()).drop);
}

function addDemo(program: Command, session: Session): void {
  program.commandsGroup('Try:');
  const demo = program
    .command('demo')
    .description('Replicate a real PostgreSQL server into DuckDB while it is written to')
    .option('--seconds <count>', 'how long the writer works (default: 20)')
    .option('--rows <count>', 'rows to begin with (default: 300000)')
    .option('--keep', "keep the server's data and the DuckDB file")
    .option('--json', 'progress as JSON lines on stderr, the result as the last line of stdout');

  act(session, demo, async () => (await import('./commands/demo.ts')).run);
}

/** Settings are inherited by subcommands only when they are made after these. */
function buildProgram(session: Session): Command {
  const { terminal } = session;
  const program = new Command('forebay');
  program
    .description('Replicates databases continuously and proves that the copy is right.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => terminal.outColumns,
      getErrHelpWidth: () => terminal.outColumns,
      // Printed by `usageError`, in the form of every other error.
      outputError: () => {},
    })
    .addHelpText('after', SYSTEMS);
  addMoving(program, session);
  addServing(program, session);
  addTransforming(program, session);
  addLooking(program, session);
  addClient(program, session);
  addDemo(program, session);
  return program;
}

/** `error: unknown option '--foo'\n(Did you mean --bar?)` in our form; null if it was no error. */
function usageError(error: CommanderError): ForebayError | null {
  if (error.exitCode === 0) return null;
  if (error.code === 'commander.help') {
    return new ForebayError('usage', { message: 'No command was given' });
  }
  const [first = '', hint = ''] = error.message.split('\n');
  const message = first.replace(/^error: /, '');
  const suggestion = /^\((.*)\)$/.exec(hint)?.[1];
  return new ForebayError('usage', {
    message: message.charAt(0).toUpperCase() + message.slice(1),
    ...(suggestion === undefined ? {} : { fix: suggestion }),
  });
}

/** Runs one command and says what the process should end with; never throws. */
export async function runCommandLine(
  argv: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const session: Session = { terminal, code: 0 };
  try {
    await buildProgram(session).parseAsync(argv, { from: 'user' });
    return session.code;
  } catch (error) {
    const failure = error instanceof CommanderError ? usageError(error) : error;
    if (failure === null) return 0;
    printError(failure, terminal);
    return failure instanceof SeveralErrors ? 2 : asForebayError(failure).exitCode;
  }
}
