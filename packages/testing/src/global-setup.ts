// One PostgreSQL server for a whole test run; each file copies its own database from a migrated template.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { startEmbeddedPostgres } from '@sluice/embedded-postgres'
import type {} from 'vitest'
import type { TestProject } from 'vitest/node'
import { makeTemporaryFolder, prepareTemplate } from './postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The run's server; its user may create databases. It is not durable: a test of durability starts its own server. */
    postgresUrl: string
  }
}

interface RunServer {
  url: string
  stop: () => Promise<void>
}

/** Every project loads this module again, and all projects share the run's one server. */
const shared = globalThis as { sluiceRunServer?: { server: Promise<RunServer>; users: number } }

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.sluiceRunServer ??= { server: startRunServer(), users: 0 }
  const run = shared.sluiceRunServer
  run.users += 1
  const { url, stop } = await run.server
  project.provide('postgresUrl', url)
  return async () => {
    run.users -= 1
    if (run.users > 0) return
    delete shared.sluiceRunServer
    await stop()
  }
}

async function startRunServer(): Promise<RunServer> {
  const folder = makeTemporaryFolder('run')
  const server = await startEmbeddedPostgres({
    dataDir: path.join(folder, 'data'),
    database: 'postgres',
    durable: false,
    settings: { max_connections: 400 },
  })
  await prepareTemplate(server.url)
  return {
    url: server.url,
    async stop() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
