// Vitest's `test` with one running system for each vitest worker.
import { test as base, inject } from 'vitest'
import { startSystem } from './system.ts'

/**
 * `system` starts once in a vitest worker and ends with it. Files share it if they need no settings or counts of their own.
 * A test that uses it chooses ids and merchants of its own. It does not stop the processes, and it does not depend on what
 * other tests leave in the database or the metrics.
 */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads the needed fixtures from the pattern.
export const test = base.extend('system', { scope: 'worker' }, async ({}, { onCleanup }) => {
  const system = await startSystem({ postgresUrl: inject('postgresUrl') })
  onCleanup(system.stop)
  return system
})
