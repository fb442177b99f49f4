import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { labelsOf, readInfoFile } from '../../../../src/repository/repair/tool-file.ts';

/** As pgBackRest 2.45 wrote it. */
const TEXT = `[backrest]
backrest-format=5
backrest-version="2.45"

[db]
db-id=1
db-system-id=7712205440090873195
db-version="15"

[backup:current]
20261125-201559F={"backup-type":"full","db-id":1}
20261125-201559F_20261126-201602D={"backup-type":"diff","db-id":1}
`;
const BODY =
  '{"backrest":{"backrest-format":5,"backrest-version":"2.45"},"db":{"db-id":1,"db-system-id":7712205440090873195,"db-version":"15"},"backup:current":{"20261125-201559F":{"backup-type":"full","db-id":1},"20261125-201559F_20261126-201602D":{"backup-type":"diff","db-id":1}}}';
const checksum = createHash('sha1').update(BODY).digest('hex');
const FILE = `${TEXT}\n[backrest]\nbackrest-checksum="${checksum}"\n`;

function encrypted(text: string, passphrase: string): Buffer {
  const salt = randomBytes(8);
  let derived = Buffer.alloc(0);
  for (let last = Buffer.alloc(0); derived.length < 48; derived = Buffer.concat([derived, last]))
    last = createHash('sha1').update(last).update(passphrase).update(salt).digest();
  const cipher = createCipheriv('aes-256-cbc', derived.subarray(0, 32), derived.subarray(32, 48));
  return Buffer.concat([Buffer.from('Salted__'), salt, cipher.update(text), cipher.final()]);
}

it('reads what the tool has written, and which backups it knows', () => {
  const info = readInfoFile(Buffer.from(FILE), null);
  expect(info && labelsOf(info)).toEqual(['20261125-201559F', '20261125-201559F_20261126-201602D']);
  expect(readInfoFile(encrypted(FILE, 'secret'), 'secret')).toEqual(info);
});

it.each([
  ['rubbish', Buffer.from('rubbish'), null],
  ['cut off', Buffer.from(FILE.slice(0, -60)), null],
  ['changed', Buffer.from(FILE.replace('"15"', '"16"')), null],
  ['a backup less', Buffer.from(FILE.replace(/^.*D=.*\n/m, '')), null],
  ["another passphrase's", encrypted(FILE, 'secret'), 'other'],
  ['not encrypted', Buffer.from(FILE), 'secret'],
  ['empty', Buffer.alloc(0), null],
])('takes no file that is %s', (_what, content, passphrase) => {
  expect(readInfoFile(content, passphrase)).toBeNull();
});
