import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';

interface Described {
  def: {
    shape?: Record<string, Described>;
    innerType?: Described;
    valueType?: Described;
    element?: Described;
    options?: Described[];
  };
}

function fieldsOf({ def }: Described): string[] {
  const inner = [def.innerType, def.valueType, def.element, ...(def.options ?? [])].filter(
    (each) => each !== undefined,
  );
  const own = Object.entries(def.shape ?? {}).flatMap(([name, schema]) => [name, ...fieldsOf(schema)]);
  return [...own, ...inner.flatMap(fieldsOf)];
}

test.each(['docs/configuration.md', 'holdfast.example.yaml'])('%s names every field', async (file) => {
  const text = await readFile(file, 'utf8');
  // A secret's own form, and what the example leaves to its defaults.
  const left = file.endsWith('.yaml') ? ['sessionToken', 'tools'] : [];
  const missing = [...new Set(fieldsOf(configSchema as unknown as Described))].filter(
    (field) => !left.includes(field) && !new RegExp(`\\b${field}\\b`).test(text),
  );
  expect(missing).toEqual([]);
});
