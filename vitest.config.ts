// Three kinds of tests: pure (unit), with real servers (int), and the whole system (e2e). Sources run as they are; spawned apps are the built ones.
import { defineConfig } from 'vitest/config'

const conditions = ['@sluice/source']
const globalSetup = ['packages/testing/src/global-setup.ts']
const roots = '{apps/*/src,packages/*/src,bench/src,tools}'

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [`${roots}/**/*.test.ts`],
          exclude: ['**/*.{int,e2e}.test.ts', '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: [`${roots}/**/*.int.test.ts`],
          globalSetup,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: [`${roots}/**/*.e2e.test.ts`],
          globalSetup,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // They measure deadlines: one at a time.
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
