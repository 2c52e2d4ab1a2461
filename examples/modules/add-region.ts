const REGIONS: Readonly<Record<string, string>> = { AT: 'alps', CH: 'alps', DE: 'north' };

/** Gets a row, gives the row to be written. */
export default function addRegion(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { ...row, region: REGIONS[String(row['country'])] ?? 'elsewhere' };
}
