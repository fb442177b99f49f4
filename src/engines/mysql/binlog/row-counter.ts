import { TYPE, valueFormOf } from './column.ts';
import type { Column } from './event.ts';
import { Malformed } from './malformed.ts';
import type { RowsShape } from './rows-event.ts';

interface Image {
  /** of each column that is there: the bytes of its value, or minus the bytes of the length before it */
  sizes: Int32Array;
  nullBytes: number;
  /** bytes of the bitmap that tells which JSON values are changes only; null: no such thing stands before the row */
  partialBytes: number | null;
}

/**
 * Counts rows in bytes that come in pieces of any size: nothing stands between rows, so that each value has to be
 * passed over. Holds no more than the bitmaps of one row.
 */
export class RowCounter {
  readonly #images: readonly Image[];
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** bytes of the value that is being passed over which are still to come */
  #skip = 0;
  #image = 0;
  /** the column that comes next; null: the bitmaps before the row */
  #column: number | null = null;
  #nulls: Buffer = Buffer.alloc(0);
  #rows = 0;
  #isEmpty = true;

  private constructor(images: readonly Image[]) {
    this.#images = images;
  }

  /** null: there is a column whose values cannot be told apart here. Throws Malformed. */
  static of(shape: RowsShape, columns: readonly Column[], isPartial: boolean): RowCounter | null {
    if (shape.width !== columns.length)
      throw new Malformed('rows of another number of columns than their table');
    const before = imageOf(shape.before, columns, false);
    const after = shape.after === null ? null : imageOf(shape.after, columns, isPartial);
    if (before === undefined || after === undefined) return null;
    return new RowCounter(after === null ? [before] : [before, after]);
  }

  /** Throws Malformed. */
  push(piece: Buffer): this {
    if (piece.length === 0) return this;
    this.#isEmpty = false;
    const left = this.#bytes.subarray(this.#at);
    this.#bytes = left.length === 0 ? piece : Buffer.concat([left, piece]);
    this.#at = 0;
    while (this.#step());
    return this;
  }

  /** How many rows there were. Throws Malformed where the last one is not whole. */
  end(): number {
    // A row of which no column is logged takes no bytes at all, and is alone in its event.
    if (this.#isEmpty) return 1;
    const isBetween = this.#column === null && this.#image === 0 && this.#skip === 0;
    if (!isBetween || this.#at !== this.#bytes.length)
      throw new Malformed('rows that do not fit their table');
    return this.#rows;
  }

  /** false: more bytes are needed, or none are left */
  #step(): boolean {
    const { length } = this.#bytes;
    if (this.#skip > 0) {
      const passed = Math.min(this.#skip, length - this.#at);
      this.#at += passed;
      this.#skip -= passed;
      if (this.#skip > 0) return false;
    }
    const image = this.#images[this.#image] as Image;
    if (this.#column === null) {
      if (this.#at === length && this.#image === 0) return false;
      return this.#bitmaps(image);
    }
    if (!this.#values(image, this.#column)) return false;
    this.#column = null;
    this.#image += 1;
    if (this.#image === this.#images.length) {
      this.#image = 0;
      this.#rows += 1;
      if (this.#images.every(({ nullBytes }) => nullBytes === 0)) throw new Malformed('rows without columns');
    }
    return true;
  }

  /** Takes what stands before the values of a row. */
  #bitmaps(image: Image): boolean {
    const partial = this.#partialHead(image);
    if (partial === null || this.#at + partial + image.nullBytes > this.#bytes.length) return false;
    this.#at += partial + image.nullBytes;
    this.#nulls = this.#bytes.subarray(this.#at - image.nullBytes, this.#at);
    this.#column = 0;
    return true;
  }

  /** Bytes of the options and the bitmap of a partial update; null: more are needed to tell. */
  #partialHead({ partialBytes }: Image): number | null {
    if (partialBytes === null) return 0;
    const options = this.#bytes[this.#at];
    // Only its lowest bit is in use: longer numbers do not occur.
    return options === undefined ? null : 1 + (options & 1 ? partialBytes : 0);
  }

  /** Passes over the values from a column on; false: more bytes are needed. */
  #values({ sizes }: Image, from: number): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    let column = from;
    for (; column < sizes.length; column += 1) {
      if (((this.#nulls[column >> 3] as number) >> (column & 7)) & 1) continue;
      let size = sizes[column] as number;
      if (size < 0) {
        if (at - size > bytes.length) break;
        const lengthBytes = -size;
        size = bytes.readUIntLE(at, lengthBytes);
        at += lengthBytes;
      }
      at += size;
      if (at > bytes.length) {
        this.#skip = at - bytes.length;
        at = bytes.length;
        column += 1;
        break;
      }
    }
    this.#at = at;
    this.#column = column;
    return column === sizes.length && this.#skip === 0;
  }
}

/** undefined: a column of a type that is not known here */
function imageOf(
  present: readonly number[],
  columns: readonly Column[],
  isPartial: boolean,
): Image | undefined {
  const forms = present.map((i) => {
    const column = columns[i];
    return column === undefined ? null : valueFormOf(column.type, column.metadata);
  });
  const sizes = forms.map((form) =>
    form === null ? null : 'fixed' in form ? form.fixed : -form.lengthBytes,
  );
  if (sizes.includes(null)) return undefined;
  const jsonColumns = columns.filter(({ type }) => type === TYPE.json).length;
  return {
    sizes: Int32Array.from(sizes as number[]),
    nullBytes: Math.ceil(present.length / 8),
    partialBytes: isPartial ? Math.ceil(jsonColumns / 8) : null,
  };
}
