// Prepares a database: our migrations, BullMQ's tables if the queue is in PostgreSQL, then the seed. Starts take turns.
import path from 'node:path'
import pg from 'pg'
import { applyMigrations, lockMigrations } from './apply-migrations.ts'
import type { Config } from './config.ts'

const migrationsDirectory = path.resolve(import.meta.dirname, '../../../../prisma/migrations')

/**
 * Applies pending migrations, then lets `seed` insert what a new database begins with. Returns the names of the applied
 * migrations, and the result of `seed`.
 * @throws MigrationError if the database and the migrations do not go together, or a migration fails
 */
export async function prepareDatabase<Seeded>(
  { databaseUrl, redisUrl }: Pick<Config, 'redisUrl'> & { databaseUrl: string },
  seed: (client: pg.Client) => Promise<Seeded>,
): Promise<{ applied: string[]; seeded: Seeded }> {
  const session = new pg.Client({ connectionString: databaseUrl })
  session.on('error', () => {}) // the statement under way rejects, too
  await session.connect()
  try {
    await lockMigrations(session, () => console.log('Waiting for another process that migrates.'))
    const applied = await applyMigrations(session, migrationsDirectory)
    if (redisUrl === undefined) {
      const { migrateQueueTables } = await import('./queue-backends.ts') // with Redis, a start needs no BullMQ here
      const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
      await migrateQueueTables(pool).finally(() => pool.end())
    }
    return { applied, seeded: await seed(session) }
  } finally {
    await session.end()
  }
}
