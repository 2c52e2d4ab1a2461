import { type Measured, median } from './measure.ts';

export interface Outcome {
  readonly name: string;
  /** Against what. */
  readonly peer: string;
  /** Peer's time divided by ours: above 1 we are faster. For limits: measured value divided by the limit. */
  readonly ratio: number;
  readonly atLeast: number | null;
  readonly ours: readonly Measured[];
  readonly theirs: readonly Measured[];
  readonly notes: readonly string[];
}

export function compareTimes(
  name: string,
  peer: string,
  sides: {
    readonly ours: readonly Measured[];
    readonly theirs: readonly Measured[];
    readonly atLeast: number | null;
  },
  notes: readonly string[] = [],
): Outcome {
  const mine = median(sides.ours.map((run) => run.seconds));
  const other = median(sides.theirs.map((run) => run.seconds));
  return { name, peer, ratio: other / mine, notes, ...sides };
}

function seconds(runs: readonly Measured[]): string {
  return runs.length === 0 ? '-' : `${median(runs.map((run) => run.seconds)).toFixed(2)} s`;
}

export function printOutcome(outcome: Outcome): string {
  const { ours } = outcome;
  const cpu = ours.flatMap((run) => run.cpuSeconds ?? []);
  const rss = ours.flatMap((run) => run.rssMiB ?? []);
  const used = [
    cpu.length === 0 ? '' : `, ${median(cpu).toFixed(2)} CPU s`,
    rss.length === 0 ? '' : `, ${Math.round(Math.max(...rss))} MiB`,
  ].join('');
  const goal = outcome.atLeast === null ? '' : ` (at least ${outcome.atLeast})`;
  const verdict =
    outcome.atLeast === null ? '' : outcome.ratio >= outcome.atLeast ? '  reached' : '  SHORT';
  return [
    `${outcome.name}: ${outcome.ratio.toFixed(2)}x of ${outcome.peer}${goal}${verdict}`,
    `  ours ${seconds(ours)}${used}; peer ${seconds(outcome.theirs)}`,
    ...outcome.notes.map((note) => `  ${note}`),
  ].join('\n');
}
