/** What the catalogs of one server say about a table, as far as comparing and importing need it. */
export interface Relation {
  oid: number;
  schema: string;
  name: string;
  /** as SQL needs it after FROM in a read: `ONLY "s"."t"`, without ONLY for a partitioned table */
  source: string;
  /** `"s"."t"` */
  qualified: string;
  partitioned: boolean;
  columns: Column[];
  uniques: UniqueIndex[];
  foreignKeys: ForeignKey[];
  /** foreign keys that refer to this one, its own included */
  referencedBy: Reference[];
  /** whether row security hides rows from the connected user, and whether the table has it at all */
  rowSecurityActive: boolean;
  rowSecurity: boolean;
  checks: CheckConstraint[];
  /** rules (CREATE RULE) that rewrite these commands */
  rewrites: { insert: boolean; update: boolean; delete: boolean };
  hasInheritors: boolean;
  /** of a partitioned table: where its rows lie, each with the condition on them */
  leaves: { name: string; condition: string | null; foreign: boolean }[];
  /** of a partition or an inheriting table, in the form of model/table.ts: what it is a part of */
  parents: string[];
  /** the db holds large objects, and a column may name them */
  hasLargeObjects: boolean;
  /** bytes on disk, partitions and indexes included */
  bytes: number;
  /** `create`: make a table in its schema; `triggers`: switch all of its triggers */
  rights: {
    select: boolean;
    insert: boolean;
    update: boolean;
    delete: boolean;
    lock: boolean;
    create: boolean;
    owner: boolean;
    triggers: boolean;
  };
  enabledTriggers: number;
}

/** A foreign key of a table that refers to this one. */
export interface Reference {
  name: string;
  /** `schema.table` in the form of model/table.ts, and like {@link Relation.source} */
  table: string;
  source: string;
  oid: number;
  columns: string[];
  parentColumns: string[];
  /** per column: type of the parent's column, and the constraint's own operator `parent = child` */
  types: string[];
  equals: string[];
  /** pg_constraint.confdeltype and confupdtype: a no action, r restrict, c cascade, n set null, d set default */
  onDelete: string;
  onUpdate: string;
  readable: boolean;
  /** `FOREIGN KEY (…) REFERENCES …` */
  definition: string;
}

export interface Column {
  name: string;
  /** without length or precision, so that a cast to it never cuts a value: `character varying`, `numeric` */
  type: string;
  /** with them, to see a change of type */
  fullType: string;
  /** `int4`, `text`: the type below a domain */
  baseType: string;
  /** pg_attribute.atttypid */
  typeOid: number;
  isEnum: boolean;
  /** whether the column's own collation is byte order; and whether equal means equal bytes */
  byteOrder: boolean;
  deterministic: boolean;
  notNull: boolean;
  generated: boolean;
  /** what a generated column is computed by, over the table's other columns */
  generation: string | null;
  /** GENERATED ALWAYS AS IDENTITY: an UPDATE cannot set it */
  identityAlways: boolean;
  hasDefault: boolean;
}

/** A part of a unique index: a column, or an expression over columns. */
export interface IndexPart {
  expression: string;
  column: string | null;
  type: string;
  /** the operator that the index itself takes for equality: `OPERATOR(pg_catalog.=)` */
  equals: string;
}

export interface UniqueIndex {
  name: string;
  primary: boolean;
  parts: IndexPart[];
  predicate: string | null;
  nullsDistinct: boolean;
  /** of an exclusion constraint: `equals` are its operators, which several rows may satisfy */
  exclusion: boolean;
  /** a constraint that can be looked at when the transaction ends */
  deferrable: boolean;
  /** every column that parts and predicate read */
  reads: string[];
}

export interface CheckConstraint {
  name: string;
  /** over the table's columns, without the word CHECK */
  expression: string;
  /** every column that it reads */
  reads: string[];
}

export interface ForeignKey {
  name: string;
  parentOid: number;
  /** like {@link Relation.source}, and as people write it */
  parentSource: string;
  parent: string;
  columns: string[];
  parentColumns: string[];
  /** per column: type of the child's column, and the constraint's own operator `parent = child` */
  types: string[];
  equals: string[];
  deferrable: boolean;
}

/** A unique index that identifies rows: plain columns, all NOT NULL, the whole table. */
export function isKey(relation: Relation, index: UniqueIndex): boolean {
  return (
    !index.exclusion &&
    index.predicate === null &&
    index.parts.every((part) => relation.columns.some((c) => c.name === part.column && c.notNull))
  );
}

/** Whether two indexes keep the same values apart. */
export function isAlike(one: UniqueIndex, other: UniqueIndex): boolean {
  const essence = ({ parts, predicate, nullsDistinct, exclusion }: UniqueIndex) =>
    JSON.stringify([
      parts.map(({ expression, type, equals }) => [expression, type, equals]),
      predicate,
      nullsDistinct,
      exclusion,
    ]);
  return essence(one) === essence(other);
}
