/** The part of Prisma's schema engine that this project calls (see engine.mjs). */
export interface SchemaEngine {
  applyMigrations(params: {
    migrationsList: unknown
    filters: { externalTables: string[]; externalEnums: string[] }
  }): Promise<{ appliedMigrationNames: string[] }>
  [method: string]: (params: never) => Promise<unknown>
}

/**
 * Opens Prisma's own schema engine (WebAssembly) on a PostgreSQL URL. It never closes its connection, and a timer of its
 * lock fires later: only for processes that end by `process.exit` when they are done.
 */
export function openSchemaEngine(url: string): Promise<SchemaEngine>

/** Runs one statement on a connection of its own. */
export function runSql(connectionString: string, text: string): Promise<unknown>

/** Creates the database that `url` names, through the server's `postgres` database. */
export function createDatabase(url: string): Promise<unknown>

/** Drops the database that `url` names, with its connections. */
export function dropDatabase(url: string): Promise<unknown>

/** Applies `prisma/migrations` below `prismaDir` as `prisma migrate deploy` would, under the same caution; answers the names it applied. */
export function applyMigrations(url: string, prismaDir: string): Promise<string[]>
