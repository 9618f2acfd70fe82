// Builds the pages into static files that the page server serves; `vite` alone serves them for development.
import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig } from 'vite'

export default defineConfig({
  base: '/',
  plugins: [react()],
  // Contracts come from their sources, so that a build needs no other build before it.
  resolve: { conditions: ['@sluice/source', ...defaultClientConditions] },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // A data: address is nothing that the pages' Content-Security-Policy lets through.
    assetsInlineLimit: 0,
    // Schemas that no page uses are values of pure calls.
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
