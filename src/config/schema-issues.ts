import type { z } from 'zod';
import { nearestNames } from '../model/nearest.ts';
import type { ConfigIssue } from './issue.ts';

type Path = (string | number)[];
/** What zod's classic schemas have in common, as far as their fields are looked up here. */
interface Described {
  def: {
    type: string;
    shape?: Record<string, Described>;
    innerType?: Described;
    valueType?: Described;
    element?: Described;
    options?: Described[];
  };
}

/**
 * What the schema found, in words: the field, what is allowed there, and what may have been meant. Values are
 * never repeated: somebody may have written a password where its reference belongs.
 */
export function describeSchemaIssues(schema: z.ZodType, value: unknown, error: z.ZodError): ConfigIssue[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      const allowed = fieldsAt(schema as unknown as Described, path);
      return issue.keys.map((key) => unknownKey(path, key, allowed));
    }
    return [describe(issue, path, value)];
  });
}

function unknownKey(path: Path, key: string, allowed: string[]): ConfigIssue {
  const nearest = nearestNames(key, allowed, 1)[0];
  return {
    path: [...path, key],
    message: 'unknown field',
    hint: `${nearest === undefined ? '' : `do you mean ${nearest}? `}the fields here are ${allowed.join(', ')}`,
  };
}

function describe(issue: z.core.$ZodIssue, path: Path, root: unknown): ConfigIssue {
  const given = valueAt(root, path);
  if (given === undefined && issue.code !== 'custom') return { path, message: 'is missing' };
  switch (issue.code) {
    case 'invalid_value':
      return { path, message: `must be ${oneOf(issue.values)}`, hint: meant(given, issue.values) };
    case 'invalid_union': {
      const values = issue.errors
        .flat()
        .flatMap((each) => (each.code === 'invalid_value' ? each.values : []));
      return { path, message: issue.message, hint: meant(given, values) };
    }
    case 'invalid_key':
      return { path, message: `the name ${issue.issues[0]?.message ?? 'is not right'}` };
    case 'invalid_type':
      return { path, message: `must be ${nounOf(issue.expected)}, not ${nounOf(typeOf(given))}` };
    case 'too_small':
      return { path, message: `must be ${sizeOf(issue.origin)}at least ${issue.minimum}` };
    case 'too_big':
      return { path, message: `must be ${sizeOf(issue.origin)}at most ${issue.maximum}` };
    default:
      return { path, message: issue.message };
  }
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`;
}

function meant(given: unknown, values: readonly unknown[]): string | undefined {
  const wrong = (Array.isArray(given) ? given : [given]).find((each) => !values.includes(each));
  const nearest = typeof wrong === 'string' ? nearestNames(wrong, values.map(String), 1)[0] : undefined;
  return nearest === undefined ? undefined : `do you mean ${nearest}?`;
}

function sizeOf(origin: string): string {
  return { string: 'text with a length of ', array: 'a list with a length of ' }[origin] ?? '';
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function nounOf(type: string): string {
  const nouns: Record<string, string> = {
    object: 'a map of fields',
    record: 'a map of names',
    array: 'a list',
    string: 'text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    null: 'empty',
  };
  return nouns[type] ?? type;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** The names of the fields that the schema knows at a path. */
function fieldsAt(schema: Described, path: Path): string[] {
  let level = objectsOf(schema);
  for (const part of path) {
    level = level.flatMap(({ def }) => {
      const next = def.shape?.[String(part)] ?? def.valueType ?? def.element;
      return next === undefined ? [] : objectsOf(next);
    });
  }
  return [...new Set(level.flatMap(({ def }) => Object.keys(def.shape ?? {})))];
}

/** The maps and lists behind optional, default and union. */
function objectsOf(schema: Described): Described[] {
  const { def } = schema;
  if (def.innerType !== undefined) return objectsOf(def.innerType);
  if (def.options !== undefined) return def.options.flatMap(objectsOf);
  return [schema];
}
