import { expect, test } from 'vitest';
import { archiverMessage } from '../../../src/engines/postgres/archiver-message.ts';

const at = '2026-01-31 14:05:00.123 UTC [42] ';
const failed = (how: string, command = 'pgbackrest archive-push pg_wal/000000010000000000000005') =>
  `${at}LOG:  archive command ${how}\n${at}DETAIL:  The failed archive command was: ${command}\n`;

test("the tool's last error, whole, with how it ended", () => {
  const log = `${at}LOG:  checkpoint starting: time
ERROR: [103]: unable to find a valid repository:
       repo1: [ProtocolError] HTTP request failed with 403 (Forbidden)
${at}app LOG:  something of another session
${failed('failed with exit code 103')}${at}LOG:  checkpoint complete
`;
  expect(archiverMessage(log)).toBe(
    'exit code 103: ERROR: [103]: unable to find a valid repository: repo1: [ProtocolError] HTTP request failed with 403 (Forbidden)',
  );
});

test('a request of the tool that S3 refused, by its code alone', () => {
  const dump = Array.from({ length: 60 }, (_, n) => `       x-header-${n}: value`).join('\n');
  const log = `ERROR: [103]: unable to find a valid repository:
       repo1: [ProtocolError] HTTP request failed with 403 (Forbidden):
       *** Path/Query ***:
       GET /backups/pgbackrest/archive/shop/archive.info
${dump}
       *** Response Content ***:
       <Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>
       HINT: has a stanza-create been performed?
${failed('failed with exit code 103')}`;
  expect(archiverMessage(log)).toBe(
    'exit code 103: ERROR: [103]: unable to find a valid repository: repo1: [ProtocolError] HTTP request failed with 403 (Forbidden): AccessDenied',
  );
});

test('the last failure counts, not what failed before it', () => {
  const log = `ERROR: [082]: the disk is full\n${failed('failed with exit code 82')}${failed('failed with exit code 1')}`;
  expect(archiverMessage(log)).toBe('exit code 1');
});

test("any other tool's last lines", () => {
  const log = `noise\ncp: cannot create regular file '/archive/x': No space left on device\n${failed('failed with exit code 1')}`;
  expect(archiverMessage(log)).toBe(
    "exit code 1: noise cp: cannot create regular file '/archive/x': No space left on device",
  );
  expect(archiverMessage(failed('was terminated by signal 9: Killed'))).toBe('terminated by signal 9');
});

test('no secret, neither of the message nor of the command, and never much', () => {
  const log = `ERROR: [039]: GET https://key:hidden-1@s3/x?X-Amz-Signature=hidden-2 secret: hidden-3\n${failed('failed with exit code 39', 'push --cipher-pass=hidden-4')}`;
  expect(archiverMessage(log)).toContain('exit code 39: ERROR: [039]: GET https://key:[redacted]@');
  expect(archiverMessage(log)).not.toContain('hidden');
  const long = `ERROR: [001]: ${'x'.repeat(2_000)}\n${failed('failed with exit code 1')}`;
  expect(archiverMessage(long)?.length).toBeLessThan(310);
});

test('where the server speaks another language, what is pgBackRest’s without doubt; else nothing', () => {
  const german = `${at}LOG:  Archivbefehl ist fehlgeschlagen mit Statuscode 82\n`;
  expect(archiverMessage(`ERROR: [082]: unable to push\n${german}`)).toBe('ERROR: [082]: unable to push');
  expect(archiverMessage(`cp: no\n${german}`)).toBeNull();
  expect(archiverMessage('')).toBeNull();
});
