// Writes grafana_formats.json: how Grafana itself writes values. Run by hand when the version below is raised:
//   (in a scratch folder)  npm install @grafana/data@12.4.10 rolldown
//                          echo "export * from '@grafana/data'" > all.mjs
//                          npx rolldown all.mjs -o grafana.mjs --platform node --format esm
//   (here)                 node make_grafana_formats.mjs SCRATCH/grafana.mjs
// The package is not needed to build, to run or to test the page.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { KNOWN_UNITS } from '../../../deploy/console/src/units.js';

globalThis.navigator ??= { languages: ['en-US'], language: 'en-US' };
const { getValueFormat, formattedValueToString } = await import(pathToFileURL(process.argv[2]).href);

const VERSION = '12.4.10';
const VALUES = [
  0, 1, 2, 3.7, 9.999, 15, 59.9, 60, 99.5, 100, 119, 999, 999.9, 1000, 1024, 1536, 3600, 12345.678, 86400, 1e6, 7776000,
  1.5e9, 17179869184, 3.2e13, 0.5, 0.25, 0.1234567, 0.05, 0.0123, 0.001, 0.00042, 0.0000031, 2.5e-8, 1 / 3,
  -1, -0.002, -42.5, -90, -123456,
]; // prettier-ignore
const DECIMALS = [null, 0, 1, 3];
// Dates depend on the reader's time zone and language; a text is itself.
const units = KNOWN_UNITS.filter((unit) => !['dateTimeAsIso', 'string'].includes(unit));

const cases = [];
for (const unit of [...units, 'suffix:req', 'prefix:~', 'no such unit']) {
  for (const value of VALUES) {
    for (const decimals of DECIMALS) {
      const text = formattedValueToString(getValueFormat(unit)(value, decimals ?? undefined));
      cases.push(JSON.stringify([unit, value, decimals, text]));
    }
  }
}
const head = `{\n"grafana_data": ${JSON.stringify(VERSION)},\n"cases": [\n`;
writeFileSync(new URL('grafana_formats.json', import.meta.url), `${head}${cases.join(',\n')}\n]\n}\n`);
console.log(`${cases.length} cases`);
