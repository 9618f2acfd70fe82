// Builds the pages into static files for the page server. In development, `vite` serves them.
import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig } from 'vite'

export default defineConfig({
  base: '/',
  plugins: [react()],
  // The build reads the sources of contracts, so that it needs no other build before it.
  resolve: { conditions: ['@sluice/source', ...defaultClientConditions] },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // The pages' Content-Security-Policy blocks data: addresses.
    assetsInlineLimit: 0,
    // These calls are pure, so the build drops the schemas that no page uses.
    rolldownOptions: {
      treeshake: { manualPureFunctions: ['Type', 'defineRoute', 'Page', 'Nullable'] },
    },
  },
  server: {
    proxy: {
      '/_api': {
        target: process.env.API_URL ?? 'http://127.0.0.1:8000',
        rewrite: (path) => path.replace(/^\/_api/, ''),
      },
    },
  },
})
