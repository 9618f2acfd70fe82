// Brings a database up to date: our migrations, and BullMQ's tables when the queue lives in PostgreSQL. Safe to run by several processes at once.
import path from 'node:path'
import { applyMigrations } from '@sluice/prisma-engine'
import pg from 'pg'
import { migrateQueueTables } from './queue-backends.ts'

/** Held from the first statement to the last, so that several starts take turns. */
const MIGRATION_LOCK = 7_217_031

const prismaDir = path.resolve(import.meta.dirname, '../../../../prisma')

/** Applies what is missing; answers the names of the migrations it applied. The process must end by `process.exit` after. */
export async function prepareDatabase(databaseUrl: string, redisUrl?: string): Promise<string[]> {
  const lock = new pg.Client({ connectionString: databaseUrl })
  await lock.connect()
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    const applied = await applyMigrations(databaseUrl, prismaDir)
    if (redisUrl === undefined) {
      const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
      await migrateQueueTables(pool).finally(() => pool.end())
    }
    return applied
  } finally {
    await lock.end()
  }
}
