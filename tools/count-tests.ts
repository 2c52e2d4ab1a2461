// Prints `N passed, N failed, N skipped` from vitest's JSON report. A test file that did not load, or a
// run that wrote no report, counts as one failure.
import { readFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { z } from 'zod';

const shape = z.looseObject({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.looseObject({ status: z.string(), assertionResults: z.array(z.unknown()) }),
  ),
});

function readReport(file: string): z.infer<typeof shape> | null {
  try {
    return shape.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}

const report = readReport(argv[2] ?? '');
if (report === null) {
  stdout.write('0 passed, 1 failed, 0 skipped\n');
  exit(1);
}
const unloaded = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
).length;
const failed = report.numFailedTests + unloaded;
const skipped = report.numPendingTests + report.numTodoTests;
stdout.write(`${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`);
if (failed > 0 || !report.success || report.numPassedTests === 0) exit(1);
