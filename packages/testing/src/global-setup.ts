// One PostgreSQL server for a whole test run; each file copies its own database from a migrated template.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { startEmbeddedPostgres } from '@sluice/embedded-postgres'
import type {} from 'vitest'
import type { TestProject } from 'vitest/node'
import { makeTemporaryFolder, prepareTemplate } from './postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The run's server, with rights to make databases. */
    postgresUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = makeTemporaryFolder('run')
  const server = await startEmbeddedPostgres({ dataDir: path.join(folder, 'data'), database: 'postgres' })
  await prepareTemplate(server.url)
  project.provide('postgresUrl', server.url)
  return async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
