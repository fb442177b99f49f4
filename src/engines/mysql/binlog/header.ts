/** Length of what stands before every event. */
export const HEADER_BYTES = 19;

export interface EventHeader {
  timestamp: number;
  code: number;
  serverId: number;
  /** with the header and the checksum */
  length: number;
  /** where the event ends, modulo 2^32; 0: not said */
  end: number;
}

/** Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Log__event__header.html */
export function decodeHeader(bytes: Buffer): EventHeader {
  return {
    timestamp: bytes.readUInt32LE(0),
    code: bytes[4] as number,
    serverId: bytes.readUInt32LE(5),
    length: bytes.readUInt32LE(9),
    end: bytes.readUInt32LE(13),
  };
}
