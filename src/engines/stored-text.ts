import { Readable } from 'node:stream';
import type { StoredObject } from '../model/backup.ts';
import type { ObjectSink } from './contract/backup.ts';

/** Stores a short text of a dump, as one object. */
export async function putText(sink: ObjectSink, name: string, text: string): Promise<StoredObject> {
  const content = Buffer.from(text);
  const [stored] = await sink.put(name, Readable.from([content]), { expectedBytes: content.length });
  if (stored === undefined) throw new TypeError(`the sink stored nothing for ${name}`);
  return stored;
}
