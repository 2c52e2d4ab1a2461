/** A plan as people and programs read it. Pure. */
import { printable } from '../client/printable.ts';
import { scrubSecrets } from '../scrub.ts';
import type { Style } from '../terminal.ts';
import type { FieldChange, PlanStep } from './change-plan.ts';

export interface StepDocument {
  readonly action: PlanStep['action'];
  readonly kind: PlanStep['kind'];
  readonly name: string;
  readonly fields: readonly FieldChange[];
}

export function stepDocument(step: PlanStep): StepDocument {
  const { action, kind, name } = step;
  return { action, kind, name, fields: step.action === 'update' ? step.fields : [] };
}

const LONGEST = 60;

/** Short values as they are; of others only that they differ. */
function valueText(value: unknown): string | null {
  if (value === null) return 'none';
  if (typeof value === 'object') return null;
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > LONGEST ? null : text;
}

function fieldText({ field, before, after }: FieldChange): string {
  const [was, is] = [valueText(before), valueText(after)];
  if (was === null || is === null) return `${field} differs`;
  return was === is ? `${field} is sent again` : `${field}: ${was} -> ${is}`;
}

export function stepLines(step: PlanStep, style: Style): readonly string[] {
  const { green, yellow, red, dim } = style;
  const paint = { create: green, update: yellow, delete: red, unchanged: dim }[step.action];
  const head = `${paint(step.action.padEnd(9))} ${step.kind.padEnd(10)} ${printable(step.name)}`;
  if (step.action !== 'update') return [head];
  const fields = step.fields.map((field) => scrubSecrets(printable(fieldText(field))));
  return [head, ...fields.map((field) => `            ${field}`)];
}

/** `1 to create, 2 to update, 3 unchanged`. */
export function planSummary(steps: readonly PlanStep[]): string {
  const count = (action: PlanStep['action']): number =>
    steps.filter((step) => step.action === action).length;
  const parts = (['create', 'update', 'delete'] as const)
    .filter((action) => count(action) > 0)
    .map((action) => `${count(action)} to ${action}`);
  const unchanged = count('unchanged');
  if (parts.length === 0) return `Nothing to change, ${unchanged} as the files say`;
  return [...parts, `${unchanged} unchanged`].join(', ');
}
