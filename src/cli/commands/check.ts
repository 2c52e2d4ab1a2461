import { type NamedSystem, openDestination, openSource } from '../../connectors/registry.ts';
import type { Finding } from '../../core/connector.ts';
import { asForebayError } from '../../core/errors.ts';
import type { RunCommand } from '../call.ts';
import { throwAll } from '../failure.ts';
import { failureFinding, findingDocument, findingsExitCode, printFindings } from '../findings.ts';
import { printDocument } from '../list-output.ts';
import { listShape, outputFormat, readOptions, roleShape, settingsShape } from '../options.ts';
import { withInterruption } from '../interruption.ts';
import { checkSettings, lookContext, type Role, type Settings, tryResolve } from '../systems.ts';

interface RoleFindings {
  readonly role: Role;
  readonly findings: readonly Finding[];
}

async function look(
  system: NamedSystem,
  role: Role,
  settings: Settings,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const context = lookContext(signal, settings);
  if (role === 'destination') {
    await using destination = await openDestination(system, context);
    return await destination.check();
  }
  await using source = await openSource(system, context);
  return await source.check(null, source.changes === undefined ? 'snapshot' : 'changes');
}

async function lookAs(
  system: NamedSystem,
  role: Role,
  settings: Settings,
  signal: AbortSignal,
): Promise<RoleFindings> {
  try {
    return { role, findings: await look(system, role, settings, signal) };
  } catch (error) {
    const known = asForebayError(error);
    if (signal.aborted || known.code === 'capability_missing') throw known;
    return { role, findings: [failureFinding('connect', known)] };
  }
}

async function rolesOf(system: NamedSystem): Promise<readonly Role[]> {
  const connector = await system.entry.load();
  const roles: readonly (Role | null)[] = [
    connector.openSource === undefined ? null : 'source',
    connector.openDestination === undefined ? null : 'destination',
  ];
  return roles.filter((role) => role !== null);
}

export const run: RunCommand = async ({ args, options, terminal }) => {
  const { as, set, ...output } = readOptions(
    { ...listShape, ...roleShape, ...settingsShape },
    options,
  );
  const { system, error } = await tryResolve(args[0] ?? '');
  if (system === null) throw error;
  throwAll(checkSettings(set, [system]));
  const checked = await withInterruption(async (signal) => {
    const done: RoleFindings[] = [];
    for (const role of as === undefined ? await rolesOf(system) : [as]) {
      done.push(await lookAs(system, role, set, signal));
    }
    return done;
  });
  const { display } = system.address;
  const format = outputFormat(output);
  if (format === 'table') {
    for (const { role, findings } of checked) {
      terminal.out(`${terminal.outStyle.bold(`${display} as ${role}`)}\n`);
      printFindings(findings, terminal);
    }
  } else {
    const roles = checked.map(({ role, findings }) => ({
      role,
      findings: findings.map(findingDocument),
    }));
    printDocument({ system: display, roles }, format, terminal);
  }
  return findingsExitCode(checked.flatMap(({ findings }) => findings));
};
