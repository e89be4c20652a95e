// Bundles the page into dist/: relative addresses, so that it also works below a path; no inlined scripts or styles.
import { existsSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vite';

const SHIPPED = ['echarts', 'zrender', 'tslib', 'marked'];

/** Put the licences of what is in the bundle beside it, as they ask for. */
const licences = () => ({
  name: 'licences',
  generateBundle() {
    const texts = SHIPPED.flatMap((name) =>
      ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'NOTICE']
        .map((file) => new URL(`node_modules/${name}/${file}`, import.meta.url))
        .filter((file) => existsSync(file))
        .map((file) => `${name}\n\n${readFileSync(file, 'utf8')}`),
    );
    this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join(`\n\n${'-'.repeat(80)}\n\n`) });
  },
});

export default defineConfig({
  base: './',
  plugins: [licences()],
  build: {
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false },
  },
});
