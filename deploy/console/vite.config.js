// Bundles the page into dist/: relative addresses, so that it also works below a path; no inlined scripts or styles.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  build: {
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false },
  },
});
