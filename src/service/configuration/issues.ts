/** What Zod found, in the words of this file format. Pure. */
import type { z } from 'zod';
import { nearest } from '../../connectors/nearest.ts';
import { type DocumentNode, nodeAt } from './document.ts';
import { isLate } from './prepare.ts';
import { type Path, type Rule, shown, type Violation } from './problem.ts';

type Issue = z.core.$ZodIssue;

const TYPES: Readonly<Record<string, readonly [must: string, fix: string]>> = {
  string: ['must be a text', 'Put it into quotes if it looks like a number or a word of YAML.'],
  number: ['must be a number', 'Write a number, without quotes.'],
  int: ['must be a whole number', 'Write a whole number, without quotes and unit.'],
  boolean: ['must be true or false', 'Write true or false, without quotes.'],
  array: ['must be a list', 'Begin each entry with a hyphen, or write [a, b].'],
  object: ['must be a mapping', 'Write its fields as name: value lines below it.'],
  record: ['must be a mapping', 'Write its entries as name: value lines below it.'],
};

function valueAt(root: DocumentNode, path: Path): unknown {
  const node = nodeAt(root, path);
  if (node === null) return undefined;
  if (node.kind === 'scalar') return node.value;
  return node.kind === 'list' ? [] : {};
}

const SECRET_FIELD = /(?:secret|password|token)s?$/;

/** Where a password may stand, only the kind of value is told. */
function shownAt(path: Path, value: unknown): string {
  const isScalar = typeof value !== 'object' && value !== null;
  const isSecret = isLate(path) || path.some((part) => SECRET_FIELD.test(String(part)));
  return isSecret && isScalar
    ? `a ${typeof value === 'string' ? 'text' : typeof value}`
    : shown(value);
}

function lacking(path: Path, page: string): Violation {
  const field = String(path.at(-1));
  return {
    path,
    rule: 'required',
    message: `${field} is missing`,
    fix: `Add ${field}: ${page} shows what it may be.`,
  };
}

function unknownVersion(path: Path, value: unknown, versions: readonly unknown[]): Violation {
  return {
    path,
    rule: 'version',
    message: `no version ${shown(value)} of the format is known`,
    fix: `Write version: ${versions.map((version) => JSON.stringify(version)).join(' or ')}.`,
  };
}

function oneOf(path: Path, value: unknown, choices: readonly unknown[]): Violation {
  const texts = choices.map(String);
  const given = typeof value === 'string' ? value : '';
  const meant = nearest(given, texts) ?? texts.find((text) => given.startsWith(text));
  return {
    path,
    rule: 'one-of',
    message: `must be one of ${texts.join(', ')}; found ${shown(value)}`,
    fix: meant === undefined ? 'Write one of these.' : `Did you mean ${meant}?`,
  };
}

/** Plural where it counts: `at least 1`, `at most 63 characters`. */
function limit(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>): string {
  const isLow = issue.code === 'too_small';
  const bound = isLow ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  if (issue.origin === 'string') return `must have ${bound} characters`;
  return issue.origin === 'array' ? `must have ${bound} entry` : `must be ${bound}`;
}

interface Context {
  readonly root: DocumentNode;
  /** The fields that a mapping of the schema may have, by its path. */
  readonly fieldsAt: (path: Path) => readonly string[];
  /** Where the fields are described; left out: docs/configuration.md. */
  readonly page?: string;
}

function unknownKeys(path: Path, keys: readonly string[], context: Context): Violation[] {
  const fields = context.fieldsAt(path);
  return keys.map((key) => {
    const meant = nearest(key, fields);
    const list = fields.length === 0 ? '' : ` Fields here: ${fields.join(', ')}.`;
    return {
      path: [...path, key],
      at: 'key',
      rule: 'unknown-key',
      message: `no field is called ${shown(key)} here`,
      fix: `${meant === null ? 'Remove it, or let it begin with x-.' : `Did you mean ${meant}?`}${list}`,
    };
  });
}

function worded(path: Path, rule: Rule, text: string): Violation {
  const [message = '', fix = 'Correct the value.'] = text.split('\n');
  return { path, rule, message, fix };
}

function translate(issue: Issue, context: Context): Violation[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  const value = valueAt(context.root, path);
  const isAbsent = value === undefined || value === null;
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(path, issue.keys, context);
    case 'invalid_type': {
      if (isAbsent) return [lacking(path, context.page ?? 'docs/configuration.md')];
      const [must, fix] = TYPES[issue.expected] ?? [`must be ${issue.expected}`, 'Correct it.'];
      return [{ path, rule: 'type', message: `${must}; found ${shownAt(path, value)}`, fix }];
    }
    case 'invalid_value':
      if (isAbsent) return [lacking(path, context.page ?? 'docs/configuration.md')];
      if (path.length === 1 && path[0] === 'version') {
        return [unknownVersion(path, value, issue.values)];
      }
      return [oneOf(path, value, issue.values)];
    case 'invalid_union':
      if (isAbsent) return [lacking(path, context.page ?? 'docs/configuration.md')];
      return [oneOf(path, value, 'options' in issue ? (issue.options ?? []) : [])];
    case 'too_small':
    case 'too_big':
      return [
        {
          path,
          rule: 'range',
          message: `${limit(issue)}${issue.origin === 'string' ? '' : `; found ${shownAt(path, value)}`}`,
          fix: 'Write a value in that range.',
        },
      ];
    case 'invalid_format':
      return [worded(path, 'format', issue.message)];
    case 'custom':
      return [worded(path, 'range', issue.message)];
    case 'not_multiple_of':
    case 'invalid_key':
    case 'invalid_element':
      return [worded(path, 'format', issue.message)];
  }
}

export function violationsOf(issues: readonly Issue[], context: Context): Violation[] {
  return issues.flatMap((issue) => translate(issue, context));
}
