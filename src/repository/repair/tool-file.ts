import { createDecipheriv, createHash } from 'node:crypto';

const SALTED = 'Salted__';
const SECTION = /^\[([^\]]+)\]$/;
const VALUE = /^([^=]+)=(.+)$/;

/** What pgBackRest keeps in `backup.info` or `archive.info`: values by section, as their JSON text. */
export type InfoFile = Map<string, Map<string, string>>;

/** Null for what pgBackRest itself would refuse: another passphrase's, cut off, or with a checksum that is not its own. */
export function readInfoFile(content: Buffer, passphrase: string | null): InfoFile | null {
  try {
    const text = (passphrase === null ? content : decrypt(content, passphrase)).toString('utf8');
    return parse(text);
  } catch {
    return null;
  }
}

/** Labels of the backups that `backup.info` knows. */
export function labelsOf(info: InfoFile): string[] {
  return [...(info.get('backup:current')?.keys() ?? [])];
}

/** As OpenSSL's `enc -aes-256-cbc -md sha1` writes it. */
function decrypt(content: Buffer, passphrase: string): Buffer {
  if (content.subarray(0, 8).toString('latin1') !== SALTED) throw new Error('not encrypted');
  const salt = content.subarray(8, 16);
  const parts: Buffer[] = [];
  for (let last = Buffer.alloc(0); Buffer.concat(parts).length < 48; parts.push(last))
    last = createHash('sha1').update(last).update(passphrase).update(salt).digest();
  const derived = Buffer.concat(parts);
  const decipher = createDecipheriv('aes-256-cbc', derived.subarray(0, 32), derived.subarray(32, 48));
  return Buffer.concat([decipher.update(content.subarray(16)), decipher.final()]);
}

function parse(text: string): InfoFile | null {
  const file: InfoFile = new Map();
  let section: Map<string, string> | undefined;
  for (const line of text.split('\n')) {
    const name = SECTION.exec(line)?.[1];
    if (name !== undefined) {
      // The checksum stands in a section of its own at the end, under the name of the first.
      section = file.get(name) ?? new Map();
      file.set(name, section);
      continue;
    }
    const [, key, value] = VALUE.exec(line) ?? [];
    if (key !== undefined && value !== undefined) section?.set(key, value);
  }
  const written = file.get('backrest')?.get('backrest-checksum');
  return written === `"${checksumOf(file)}"` ? file : null;
}

/** Of all sections as one JSON document without white space, in the order of the file, without the checksum itself. */
function checksumOf(file: InfoFile): string {
  const sections = [...file].map(([name, values]) => {
    const texts = [...values]
      .filter(([key]) => !(name === 'backrest' && key === 'backrest-checksum'))
      .map(([key, value]) => `${JSON.stringify(key)}:${value}`);
    return `${JSON.stringify(name)}:{${texts.join(',')}}`;
  });
  return createHash('sha1')
    .update(`{${sections.join(',')}}`)
    .digest('hex');
}
