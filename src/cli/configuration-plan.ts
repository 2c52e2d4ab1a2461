/** What a configuration file would do: the plan of each enabled stream. */
import { asForebayError, type ExitCode, type ForebayError } from '../core/errors.ts';
import type { PipelinePlan } from '../engine/pipeline.ts';
import { planPipeline } from '../engine/plan.ts';
import { planStream } from '../service/stream-plan.ts';
import { readConfiguration } from './configuration-file.ts';
import { printError, safeReport } from './failure.ts';
import { findingsExitCode } from './findings.ts';
import { withInterruption } from './interruption.ts';
import { printDocument } from './list-output.ts';
import type { OutputFormat } from './options.ts';
import type { Terminal } from './terminal.ts';
import { planDocument, printPlan } from './view/plan-view.ts';

type PlannedEntry = { readonly id: string } & (
  | { readonly kind: 'planned'; readonly plan: PipelinePlan }
  /** The others are planned all the same. */
  | { readonly kind: 'failed'; readonly error: ForebayError }
);

function printEntry(entry: PlannedEntry, terminal: Terminal): void {
  const { bold } = terminal.outStyle;
  terminal.out(`${bold(`stream ${entry.id}`)}\n`);
  if (entry.kind === 'planned') printPlan(entry.plan, terminal);
  else printError(entry.error, terminal);
  terminal.out('\n');
}

function documentOf(entry: PlannedEntry): Readonly<Record<string, unknown>> {
  const { id } = entry;
  if (entry.kind === 'failed') return { id, error: safeReport(entry.error) };
  return { id, ...planDocument(entry.plan), error: null };
}

function exitCodeOf(entries: readonly PlannedEntry[], detailed: boolean): ExitCode {
  const codes = entries.map((entry) =>
    entry.kind === 'failed' ? entry.error.exitCode : findingsExitCode(entry.plan.findings),
  );
  const failed = codes.find((code) => code !== 0);
  if (failed !== undefined) return failed;
  const changes = entries.some(
    (entry) => entry.kind === 'planned' && entry.plan.changes.length > 0,
  );
  return detailed && changes ? 2 : 0;
}

/** Touches nothing. */
export async function planConfiguration(
  file: string,
  how: { readonly format: OutputFormat; readonly detailed: boolean },
  terminal: Terminal,
): Promise<ExitCode> {
  const loaded = readConfiguration(file, terminal);
  if (loaded === null) return 2;
  const streams = loaded.configuration.streams.filter(({ enabled }) => enabled);
  const options = { untilCaughtUp: false, moving: () => {}, onlyLooks: true };
  const entries = await withInterruption(async (signal) => {
    const found: PlannedEntry[] = [];
    for (const stream of streams) {
      const { id } = stream;
      try {
        const { mode, spec, systems } = await planStream(loaded, stream, options);
        const plan = await planPipeline(mode, spec, systems, signal);
        found.push({ id, kind: 'planned', plan });
      } catch (error) {
        if (signal.aborted) throw error;
        found.push({ id, kind: 'failed', error: asForebayError(error) });
      }
    }
    return found;
  });
  if (how.format === 'table') for (const entry of entries) printEntry(entry, terminal);
  else
    printDocument(
      { configuration: file, pipelines: entries.map(documentOf) },
      how.format,
      terminal,
    );
  return exitCodeOf(entries, how.detailed);
}
