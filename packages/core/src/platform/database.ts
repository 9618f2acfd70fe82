// PostgreSQL: two pools (what must be quick to fail, and the rest), Prisma for ordinary reads and transactions, plain statements where rows come in batches.
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { type Prisma, PrismaClient } from '../generated/client.ts'
import { unavailable } from './errors.ts'
import type { Logger } from './logger.ts'

/** A statement with a name is prepared once for each connection. */
interface Statement {
  name?: string
  text: string
  values: unknown[]
}

/** What Prisma hands to the function of `atomically`. */
export type Tx = Prisma.TransactionClient

export interface Database {
  prisma: PrismaClient
  /** One statement on the batch connections; rows as arrays. Rejects within about a second when the server doesn't answer. */
  batch: (statement: Statement) => Promise<{ rows: unknown[][]; rowCount: number }>
  /** Opens the batch connections ahead of the first delivery; does nothing when the server is away. */
  warmUp: () => Promise<void>
  close: () => Promise<void>
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  log: Logger
  /** Client-side limit of one batch statement: a frozen server sends no error. */
  batchTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 400
const READ_TIMEOUT_MS = 3000
const BATCH_CONNECTIONS = 3
const READ_CONNECTIONS = 8

export function openDatabase(options: DatabaseOptions): Database {
  const batchPool = openPool(options, {
    max: BATCH_CONNECTIONS,
    idleTimeoutMillis: 0, // a delivery after a quiet while must not wait for a connection
    query_timeout: options.batchTimeoutMs ?? 500,
    // Work is found by index or not at all: a plan made while the tables were new and empty would read them whole.
    options: '-c enable_seqscan=off',
  })
  const readPool = openPool(options, { max: READ_CONNECTIONS, query_timeout: READ_TIMEOUT_MS })
  const prisma = new PrismaClient({
    adapter: new PrismaPg(readPool),
    transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: READ_TIMEOUT_MS },
  })
  return {
    prisma,
    async batch(statement) {
      const result = await batchPool.query({ ...statement, rowMode: 'array' })
      return { rows: result.rows, rowCount: result.rowCount ?? 0 }
    },
    async warmUp() {
      const connections = Array.from({ length: BATCH_CONNECTIONS }, () => batchPool.query('SELECT 1'))
      await Promise.allSettled(connections)
    },
    async close() {
      await prisma.$disconnect()
      await Promise.all([batchPool.end(), readPool.end()])
    },
  }
}

function openPool(
  { url, applicationName, log }: DatabaseOptions,
  config: pg.PoolConfig & { query_timeout: number },
): pg.Pool {
  const pool = new pg.Pool({
    ...config,
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // The server gives up a little later than the client, so that abandoned statements don't pile up on it.
    statement_timeout: config.query_timeout + 1000,
    keepAlive: true,
  })
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on('error', (err) => log.warn({ err }, 'an idle database connection broke'))
  return pool
}

/**
 * Runs `work` in one database transaction. What is handed to `afterCommit` runs once the commit has succeeded, and
 * not at all when it fails, so that side effects never tell of what was rolled back.
 */
export async function atomically<T>(
  db: Database,
  work: (tx: Tx, afterCommit: (effect: () => void) => void) => Promise<T>,
): Promise<T> {
  const effects: Array<() => void> = []
  const result = await db.prisma.$transaction((tx) => work(tx, (effect) => effects.push(effect)))
  for (const effect of effects) effect()
  return result
}

/** For a read that somebody waits for: against a frozen server only a clock on our side helps. */
export function answeredWithin<T>(timeoutMs: number, read: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(new Error(`no answer within ${timeoutMs} ms`))), timeoutMs)
  })
  return Promise.race([read, late]).finally(() => clearTimeout(timer))
}
