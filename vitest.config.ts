// Three groups of tests, in turn: pure tests, tests with servers side by side, and tests of deadlines one at a time.
import { randomBytes } from 'node:crypto'
import os from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const conditions = ['@sluice/source']
const globalSetup = ['packages/testing/src/global-setup.ts']
const roots = '{apps/*/src,packages/*/src,bench/src,tools}'
const leftOut = process.env.SLUICE_TEST_LEAVE_OUT?.split(',').filter((file) => file !== '') ?? []
const exclude = ['**/node_modules/**', ...leftOut]
const deadlines = [`${roots}/**/*.deadline.{int,e2e}.test.ts`]
const withServers = {
  globalSetup,
  setupFiles: ['packages/testing/src/print-seed.ts'],
  testTimeout: 120_000,
  hookTimeout: 120_000,
}
/** Files share the modules of their worker, and its fixtures: see packages/testing/src/fixtures.ts. */
const isolate = false

/** These take longest: they start first, so that none of them runs alone at the end. */
const slowest = [
  'gateway-races.int',
  'launcher.e2e',
  'gateway-faults.e2e',
  'docker.e2e',
  'canary.e2e',
  'payments-page.e2e',
  'payment-events.int',
  'sandbox.int',
]
const rankOf = ({ moduleId }: TestSpecification) => {
  const rank = slowest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
  return rank < 0 ? slowest.length : rank
}
class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const orderOf = ({ project }: TestSpecification) => project.config.sequence.groupOrder
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => orderOf(a) - orderOf(b) || rankOf(a) - rankOf(b))
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    sequence: { sequencer: SlowestFirst },
    env: { SLUICE_TEST_SEED: process.env.SLUICE_TEST_SEED || randomBytes(4).toString('hex') },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [`${roots}/**/*.test.ts`],
          exclude: ['**/*.{int,e2e}.test.ts', ...exclude],
          isolate,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: [`${roots}/**/*.{int,e2e}.test.ts`],
          exclude: [...deadlines, ...exclude],
          ...withServers,
          isolate,
          // Two on the smallest machine: many tests mostly wait.
          maxWorkers: Math.max(2, os.availableParallelism()),
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          // They measure durations, so each has the machine to itself.
          name: 'deadlines',
          include: deadlines,
          exclude,
          ...withServers,
          isolate,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
