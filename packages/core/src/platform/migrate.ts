// Brings a database up to date: our migrations, and BullMQ's tables when the queue lives in PostgreSQL, then the seed. Safe to run by several processes at once.
import path from 'node:path'
import { applyMigrations } from '@sluice/prisma-engine'
import pg from 'pg'
import type { Config } from './config.ts'
import { migrateQueueTables } from './queue-backends.ts'

/** Held from the first statement to the last, so that several starts take turns. */
const MIGRATION_LOCK = 7_217_031

const prismaDir = path.resolve(import.meta.dirname, '../../../../prisma')

/**
 * Applies what is missing, then lets `seed` insert what a new database begins with. Answers the names of the migrations
 * that it applied, and what `seed` answered. The process must end by `process.exit` after.
 */
export async function prepareDatabase<Seeded>(
  { databaseUrl, redisUrl }: Pick<Config, 'redisUrl'> & { databaseUrl: string },
  seed: (client: pg.Client) => Promise<Seeded>,
): Promise<{ applied: string[]; seeded: Seeded }> {
  const lock = new pg.Client({ connectionString: databaseUrl })
  await lock.connect()
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    const applied = await applyMigrations(databaseUrl, prismaDir)
    if (redisUrl === undefined) {
      const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
      await migrateQueueTables(pool).finally(() => pool.end())
    }
    return { applied, seeded: await seed(lock) }
  } finally {
    await lock.end()
  }
}
