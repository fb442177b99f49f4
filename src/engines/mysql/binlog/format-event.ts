import { crc32 } from 'node:zlib';
import type { FormatContent } from './event.ts';
import { Fields } from './fields.ts';
import { HEADER_BYTES } from './header.ts';
import { Malformed } from './malformed.ts';

const FLAGS_OFFSET = 17;
const IN_USE = 0x1;
const CRC32 = 1;
const CHECKSUM_BYTES = 4;

/**
 * The first event of every file. It always ends with the number of the checksums' algorithm and a checksum of its
 * own, whatever binlog_checksum is (MySQL since 5.6.1, MariaDB since 5.3).
 * Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Format__description__event.html
 */
export function decodeFormat(event: Buffer): FormatContent {
  const fields = new Fields(event, HEADER_BYTES);
  const version = fields.number(2);
  if (version !== 4) throw new Malformed(`format ${version} of binary logs`);
  const serverVersion = fields.text(50).replace(/\0.*$/s, '');
  const created = fields.number(4);
  if (fields.number(1) !== HEADER_BYTES) throw new Malformed('a header of unknown length');
  if (fields.left < CHECKSUM_BYTES + 1) throw new Malformed('no room for a checksum');
  const algorithm = event[event.length - CHECKSUM_BYTES - 1] as number;
  if (algorithm !== 0 && algorithm !== CRC32) throw new Malformed(`checksum algorithm ${algorithm}`);
  return {
    type: 'format',
    serverVersion,
    flavour: /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql',
    created,
    hasChecksums: algorithm === CRC32,
    isInUse: (event.readUInt16LE(FLAGS_OFFSET) & IN_USE) !== 0,
  };
}

/** The checksum is of the event as it is once the file is closed: the flag is set and taken away without it. */
export function isFormatIntact(event: Buffer): boolean {
  const closed = Buffer.from(event.subarray(0, event.length - CHECKSUM_BYTES));
  closed.writeUInt16LE(closed.readUInt16LE(FLAGS_OFFSET) & ~IN_USE, FLAGS_OFFSET);
  return crc32(closed) === event.readUInt32LE(event.length - CHECKSUM_BYTES);
}
