// Prints `N passed, N failed, N skipped` from vitest's JSON report; a test file that did not load counts as failed.
import { readFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { z } from 'zod';

const report = z
  .looseObject({
    success: z.boolean(),
    numPassedTests: z.number(),
    numFailedTests: z.number(),
    numPendingTests: z.number(),
    numTodoTests: z.number(),
    testResults: z.array(
      z.looseObject({ status: z.string(), assertionResults: z.array(z.unknown()) }),
    ),
  })
  .parse(JSON.parse(readFileSync(argv[2] ?? '', 'utf8')));

const unloaded = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
).length;
const failed = report.numFailedTests + unloaded;
const skipped = report.numPendingTests + report.numTodoTests;
stdout.write(`${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`);
if (failed > 0 || !report.success || report.numPassedTests === 0) exit(1);
