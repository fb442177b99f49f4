import { describe, expect, test } from 'vitest';
import {
  describeSeries,
  flavourOf,
  isAtLeast,
  parseSeriesName,
  parseServer,
  replicationWords,
  resetBinlogs,
  seriesName,
  showBinlogStatus,
} from '../../../../src/engines/mysql/flavour.ts';
import {
  quoteBytes,
  quoteIdentifier,
  quoteLiteral,
  quoteTable,
} from '../../../../src/engines/mysql/identifier.ts';

describe('identifiers and literals', () => {
  test('names are in backquotes, which are doubled', () => {
    expect(quoteIdentifier('a`b"c')).toBe('`a``b"c`');
    expect(quoteTable(['shop', 'or.ders'])).toBe('`shop`.`or.ders`');
    expect(() => quoteIdentifier('')).toThrow(RangeError);
    expect(() => quoteIdentifier('a\0')).toThrow(RangeError);
  });

  test('texts mean the same in every sql_mode', () => {
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral('')).toBe("''");
    expect(quoteLiteral('a\\b')).toBe('_utf8mb4 0x615c62');
    expect(quoteLiteral('"')).toBe('_utf8mb4 0x22');
    expect(quoteLiteral('é')).toBe('_utf8mb4 0xc3a9');
    expect(quoteBytes(Buffer.from([0, 255]))).toBe('_binary 0x00ff');
    expect(quoteBytes(Buffer.alloc(0))).toBe("_binary ''");
  });
});

describe('flavours', () => {
  test.each([
    ['8.0.31', 'MySQL Community Server - GPL', { flavour: 'mysql', version: '8.0.31', series: 800 }],
    ['8.4.2-log', '', { flavour: 'mysql', version: '8.4.2', series: 804 }],
    ['26.10.0', 'MySQL Community Server - GPL', { flavour: 'mysql', version: '26.10.0', series: 2610 }],
    ['8.0.35-27', 'Percona Server (GPL)', { flavour: 'mysql', version: '8.0.35', series: 800 }],
    ['10.11.19-MariaDB-0+deb12u1-log', '', { flavour: 'mariadb', version: '10.11.19', series: 1011 }],
    ['5.5.5-11.4.2-MariaDB', '', { flavour: 'mariadb', version: '11.4.2', series: 1104 }],
    ['10.11.9', 'mariadb.org binary distribution', { flavour: 'mariadb', version: '10.11.9', series: 1011 }],
  ])('%s %s', (version, comment, server) => {
    expect(parseServer(version, comment)).toEqual(server);
  });

  test.each(['5.7.44', '10.6.1-MariaDB', '', 'nothing', '10.11.9', '20.1.1-MariaDB'])(
    '%s is refused',
    (version) => {
      expect(() => parseServer(version, '')).toThrow(expect.objectContaining({ type: 'NotSupported' }));
    },
  );

  test('series have names for people and for files', () => {
    expect([800, 804, 1011, 1104].map(describeSeries)).toEqual([
      'MySQL 8.0',
      'MySQL 8.4',
      'MariaDB 10.11',
      'MariaDB 11.4',
    ]);
    for (const series of [800, 804, 907, 2610, 1011, 1104]) {
      expect(parseSeriesName(seriesName(series))).toBe(series);
    }
    expect(seriesName(1011)).toBe('mariadb-10.11');
    expect(['10.11', 'mariadb-8.0', '8', 'mariadb', ''].map(parseSeriesName)).toEqual(Array(5).fill(null));
    expect([800, 999, 1000, 1308, 2607].map(flavourOf)).toEqual([
      ...['mysql', 'mysql', 'mariadb', 'mariadb', 'mysql'],
    ]);
  });

  test('versions are compared by their numbers', () => {
    expect(isAtLeast({ version: '8.0.31' }, '8.0.4')).toBe(true);
    expect(isAtLeast({ version: '8.0.31' }, '8.0.31')).toBe(true);
    expect(isAtLeast({ version: '8.0.31' }, '8.1.0')).toBe(false);
  });

  test('statements that differ', () => {
    const old = parseServer('8.0.22', '');
    const mysql = parseServer('8.0.31', '');
    const newer = parseServer('8.4.0', '');
    const maria = parseServer('10.11.19-MariaDB', '');
    expect([mysql, newer, maria].map(showBinlogStatus)).toEqual([
      'SHOW MASTER STATUS',
      'SHOW BINARY LOG STATUS',
      'SHOW MASTER STATUS',
    ]);
    expect([mysql, newer, maria].map(resetBinlogs)).toEqual([
      'RESET MASTER',
      'RESET BINARY LOGS AND GTIDS',
      'RESET MASTER',
    ]);
    expect([old, mysql, newer, maria].map((server) => replicationWords(server).start)).toEqual([
      'START SLAVE',
      'START REPLICA',
      'START REPLICA',
      'START SLAVE',
    ]);
  });
});
