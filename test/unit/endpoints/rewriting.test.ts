import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/endpoints/address.ts';
import { rewriteIni } from '../../../src/endpoints/pgbouncer-ini.ts';
import { serviceSection } from '../../../src/endpoints/service-file.ts';
import { passwordsOf, readUrl, rewriteUrl } from '../../../src/endpoints/url.ts';
import { hostAndPortVariables, type Rewriting, urlVariable } from '../../../src/endpoints/variables.ts';
import { withoutPasswords } from '../../../src/model/redact.ts';

const NEW = { host: 'new.example', port: 6000 };
const host = fc.constantFrom('db1', '10.0.0.5', 'a.b-c.example', '/var/run/postgresql', 'fd00::5', 'h1,h2');
const port = fc.integer({ min: 1, max: 65_535 });
const address = fc.record({ host, port });
/** Any bytes but line breaks. */
const bytes = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((code) => code !== 10 && code !== 13),
    { maxLength: 20 },
  )
  .map((codes) => String.fromCharCode(...codes));
const lineEnd = fc.constantFrom('\n', '\r\n');

/** Everything around the address is as it was: writing the old one back gives the old text. */
function expectOnlyTheAddress(rewriting: Rewriting, text: string, before: { host: string; port: number }) {
  expect(rewriting.read(text)).toEqual(before);
  const edited = rewriting.rewrite(text, NEW) as string;
  expect(rewriting.read(edited)).toEqual(NEW);
  expect(rewriting.rewrite(edited, before)).toBe(text);
}

describe('a url', () => {
  it.each([
    [
      'postgresql://u:p%40@old:5432/db?sslmode=require#x',
      'postgresql://u:p%40@new.example:6000/db?sslmode=require#x',
    ],
    ['postgres://old/db', 'postgres://new.example:6000/db'],
    ['postgres://u:a@b@old/db', 'postgres://u:a@b@new.example:6000/db'],
    ['postgres://h1:5432,h2:5433/db', 'postgres://new.example:6000/db'],
    ['jdbc:postgresql://old:5432/db', 'jdbc:postgresql://new.example:6000/db'],
    ['postgres://[::1]:5432', 'postgres://new.example:6000'],
    ['postgresql:///db', 'postgresql://new.example:6000/db'],
  ])('%s leads elsewhere', (before, after) => {
    expect(rewriteUrl(before, NEW)).toBe(after);
  });

  it('that names its host in the query, and what is none, is left alone', () => {
    for (const url of ['postgres:///db?host=/run', 'postgres://old/db?x=1&port=5', 'old:5432', '']) {
      expect(readUrl(url)).toBeNull();
      expect(rewriteUrl(url, NEW)).toBeNull();
    }
    expect(readUrl('postgresql:///db')).toBeNull();
  });

  it('hides its password, as it is written and as it is meant', () => {
    expect(passwordsOf('postgres://u:p%40ss:w@old/db')).toEqual(['p%40ss:w', 'p@ss:w']);
    expect(passwordsOf('postgres://u@old/db')).toEqual([]);
    expect(withoutPasswords('at postgres://u:p%40ss@old/db password=x y PGPASSWORD: "a b" end')).toBe(
      'at postgres://u:[redacted]@old/db password=[redacted] y PGPASSWORD: [redacted] end',
    );
  });
});

describe('a file of variables', () => {
  it('takes the last line that sets it, with quotes, comments and export', () => {
    const text = "A=postgres://first/x\n#A=postgres://no/x\nexport A = 'postgres://u@old:1/x' # why\r\nB=2\n";
    expect(urlVariable('A').rewrite(text, NEW)).toBe(
      "A=postgres://first/x\n#A=postgres://no/x\nexport A = 'postgres://u@new.example:6000/x' # why\r\nB=2\n",
    );
    expect(hostAndPortVariables('H', 'P').rewrite('H="old"\nP=1 # why\n', NEW)).toBe(
      'H="new.example"\nP=6000 # why\n',
    );
  });

  it('without the line is not written', () => {
    expect(urlVariable('A').rewrite('AB=postgres://x/y\n', NEW)).toBeNull();
    expect(hostAndPortVariables('H', 'P').rewrite('H=x\n', NEW)).toBeNull();
  });

  it('keeps every other byte', () => {
    const surroundings = fc.record({ before: fc.array(bytes), after: fc.array(bytes), end: lineEnd });
    fc.assert(
      fc.property(surroundings, address, fc.constantFrom('', '"', "'"), (around, old, quote) => {
        const others = (lines: string[]) =>
          lines.map((line) => `OTHER_${line}`).filter((line) => !/^OTHER_\s*=/.test(line));
        const url = rewriteUrl('postgresql://u:p@x:1/db?a=b', old);
        const set = [`URL=${quote}${url}${quote}`, `HOST=${quote}${old.host}${quote}`, `PORT=${old.port}`];
        const text = [...others(around.before), ...set, ...others(around.after)].join(around.end);
        expectOnlyTheAddress(urlVariable('URL'), text, old);
        expectOnlyTheAddress(hostAndPortVariables('HOST', 'PORT'), text, old);
      }),
    );
  });
});

describe('a service file', () => {
  it('gets what the first section of the name lacks', () => {
    expect(serviceSection('s').rewrite('[x]\nhost=a\n[s]\r\nuser=u\r\n[s]\nhost=b\n', NEW)).toBe(
      '[x]\nhost=a\n[s]\r\nhost=new.example\r\nport=6000\r\nuser=u\r\n[s]\nhost=b\n',
    );
  });

  it('with hostaddr, or without the section, is left alone', () => {
    expect(serviceSection('s').rewrite('[s]\nhost=a\nhostaddr=10.0.0.1\n', NEW)).toBeNull();
    expect(serviceSection('s').rewrite('[t]\nhost=a\n', NEW)).toBeNull();
    expect(serviceSection('s').read('[s]\nuser=a\n')).toBeNull();
  });

  it('keeps every other byte', () => {
    const comments = fc.array(bytes.map((line) => `#${line}`));
    fc.assert(
      fc.property(comments, comments, address, lineEnd, (before, after, old, end) => {
        const section = ['[s]', ...before, `host=${old.host}`, 'user=u', `port=${old.port}`, ...after];
        const text = ['[r]', 'host=other', ...before, ...section, '[t]', 'host=other', ''].join(end);
        expectOnlyTheAddress(serviceSection('s'), text, old);
      }),
    );
  });
});

describe("PgBouncer's ini", () => {
  const ini = (entry: string) =>
    `; shop = host=no\n%include other.ini\n[databases]\n${entry}\n#shop = host=no\n[pgbouncer]\nshop = host=no\n`;

  it.each([
    ['shop = host=old port=1 dbname=x', 'shop = host=new.example port=6000 dbname=x'],
    ["shop=host = 'old' port='1'", "shop=host = 'new.example' port='6000'"],
    [
      "shop = connect_query='SELECT ''host=a''' host=old",
      "shop = connect_query='SELECT ''host=a''' host=new.example port=6000",
    ],
    ['  "shop" = dbname=x  ', '  "shop" = dbname=x host=new.example port=6000  '],
    ['shop =', 'shop = host=new.example port=6000'],
    ['shop = host=first\nshop = host=old\r', 'shop = host=first\nshop = host=new.example port=6000\r'],
  ])('%s', (before, after) => {
    expect(rewriteIni(ini(before), 'shop', NEW)).toBe(ini(after));
  });

  it('with an entry that PgBouncer would not take, or without one, is left alone', () => {
    expect(rewriteIni(ini("shop = host='old"), 'shop', NEW)).toBeNull();
    expect(rewriteIni(ini('shop = host'), 'shop', NEW)).toBeNull();
    expect(rewriteIni(ini('shops = host=old'), 'shop', NEW)).toBeNull();
    expect(rewriteIni(ini('"sh""op" = host=old'), 'sh"op', NEW)).toContain(
      '"sh""op" = host=new.example port=6000',
    );
  });

  it('keeps every other byte', () => {
    const others = fc.array(bytes.map((line) => `; ${line}`));
    const pairs = fc.shuffledSubarray(["connect_query='SELECT ''port=5'''", 'dbname=x', 'pool_size=3'], {
      minLength: 0,
    });
    fc.assert(
      fc.property(others, pairs, address, fc.boolean(), lineEnd, (lines, rest, old, quoted, end) => {
        const value = (text: string | number) => (quoted ? `'${text}'` : text);
        const entry = ['shop =', `host=${value(old.host)}`, ...rest, `port=${value(old.port)}`].join(' ');
        const text = [...lines, '[databases]', entry, ...lines, '[users]', ...lines].join(end);
        const edited = rewriteIni(text, 'shop', NEW) as string;
        expect(edited).toBe(
          text.replace(
            entry,
            ['shop =', `host=${value(NEW.host)}`, ...rest, `port=${value(NEW.port)}`].join(' '),
          ),
        );
        expect(rewriteIni(edited, 'shop', old)).toBe(text);
      }),
    );
  });
});

it('an address is read back as it was printed', () => {
  expect(parseAddress('db1:6000')).toEqual({ host: 'db1', port: 6000 });
  expect(parseAddress('[fd00::5]:6000')).toEqual({ host: 'fd00::5', port: 6000 });
  expect(parseAddress('db1')).toEqual({ host: 'db1', port: 5432 });
  expect(parseAddress('')).toBeNull();
});
