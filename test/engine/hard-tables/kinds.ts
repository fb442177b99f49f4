import { CONSTRAINTS } from './constraints.ts';
import { KEYS } from './keys.ts';
import type { HardKind } from './kind.ts';
import { NAME_KINDS } from './names.ts';
import { RELATIONS } from './relations.ts';
import { VALUE_KINDS } from './values.ts';

/** Every kind; they fit into one database together. */
export const KINDS: readonly HardKind[] = [
  ...KEYS,
  ...RELATIONS,
  ...CONSTRAINTS,
  ...VALUE_KINDS,
  ...NAME_KINDS,
];
