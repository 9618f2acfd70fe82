// PostgreSQL for apps: short batch statements, transactions that may wait for locks, and reads through Prisma.
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from '../generated/client.ts'
import { unavailable } from './errors.ts'
import type { Logger } from './logger.ts'
import { allOf, inTransaction } from './transaction.ts'
import { withTimeout } from './with-timeout.ts'

/** A statement with a name is prepared once for each connection. */
export interface Statement {
  name?: string
  text: string
  values: unknown[]
}

/** One database transaction: what `atomically` hands to its function. */
export interface Tx {
  /** Rows by column name. Cast BIGINT to float8, which is exact up to 2^53, and JSON to text where its bytes matter. */
  query: <Row>(statement: Statement) => Promise<Row[]>
}

type AfterCommit = (effect: () => void) => void
type Work<T> = (tx: Tx, afterCommit: AfterCommit) => Promise<T>

export interface Database {
  prisma: PrismaClient
  /** One statement on the batch connections; rows by column name. Rejects as `batch` does. */
  query: Tx['query']
  /** One statement on the batch connections; rows as arrays. Rejects within about a second when the server does not respond. */
  batch: (statement: Statement) => Promise<{ rows: unknown[][]; rowCount: number }>
  /**
   * One transaction on a batch connection, in two round trips. `lock` locks and reads; `decide` returns from its rows
   * the statements that are sent together with the COMMIT. Rejects with the first error of any part; then nothing is
   * written, unless the connection broke at the COMMIT: then the outcome is unknown.
   */
  lockThenWrite: (lock: Statement, decide: (rows: unknown[][]) => Statement[]) => Promise<void>
  /**
   * Runs `work` in one database transaction (READ COMMITTED). Effects handed to `afterCommit` run once the commit has
   * succeeded, and never when it fails, so that no side effect reports what was rolled back. Rejects, as
   * SERVICE_UNAVAILABLE, after about two statement timeouts, or sooner with `withinMs`. Then the transaction rolls
   * back, or its outcome is unknown.
   */
  atomically: <T>(work: Work<T>, limits?: { withinMs?: number }) => Promise<T>
  /** Opens connections before the first request needs them; does nothing when the server is away. */
  warmUp: () => Promise<void>
  close: () => Promise<void>
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  log: Logger
  /** Client-side limit of one batch statement, and of half a transaction: a frozen server sends no error. */
  statementTimeoutMs?: number
  /** Client-side limit for opening a connection, the wait for a free one included. */
  connectTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 400
const READ_TIMEOUT_MS = 3000
const BATCH_CONNECTIONS = 5
const TRANSACTION_CONNECTIONS = 10
const READ_CONNECTIONS = 8

/** For reads of one object, which testers and payers poll for. */
export const FIND_TIMEOUT_MS = 800

export function openDatabase(options: DatabaseOptions): Database {
  const { statementTimeoutMs = 500, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options
  // The response comes within a second, and one statement may take half of it.
  const transactionTimeoutMs = 2 * statementTimeoutMs - 100
  const batchPool = openBatchPool(options, statementTimeoutMs)
  const transactionPool = openTransactionPool(options, transactionTimeoutMs)
  const readPool = openPool(options, { max: READ_CONNECTIONS, query_timeout: READ_TIMEOUT_MS })
  const prisma = new PrismaClient({
    adapter: new PrismaPg(readPool),
    transactionOptions: { maxWait: connectTimeoutMs, timeout: READ_TIMEOUT_MS },
  })
  return {
    prisma,
    async query(statement) {
      const { rows } = await batchPool.query(statement)
      return rows
    },
    async batch(statement) {
      const result = await batchPool.query({ ...statement, rowMode: 'array' })
      return { rows: result.rows, rowCount: result.rowCount ?? 0 }
    },
    lockThenWrite: (lock, decide) => lockThenWrite(batchPool, lock, decide),
    atomically: (work, { withinMs = transactionTimeoutMs } = {}) =>
      atomically(transactionPool, work, Math.min(withinMs, transactionTimeoutMs)),
    async warmUp() {
      const connect = (pool: pg.Pool) =>
        Array.from({ length: BATCH_CONNECTIONS }, () => pool.query('SELECT 1'))
      const reads = prisma.$queryRaw`SELECT 1` // Prisma's first query loads a good part of Prisma, too
      await Promise.allSettled([...connect(batchPool), ...connect(transactionPool), reads])
    },
    async close() {
      await prisma.$disconnect()
      await Promise.all([batchPool.end(), transactionPool.end(), readPool.end()])
    },
  }
}

const lockThenWrite = (pool: pg.Pool, lock: Statement, decide: (rows: unknown[][]) => Statement[]) =>
  inTransaction(pool, async (client, begun) => {
    const [, { rows }] = await allOf([begun, client.query({ ...lock, rowMode: 'array' })])
    // If one write fails the others fail too, and the COMMIT ends as a ROLLBACK.
    const sent = decide(rows).map((statement) => client.query({ ...statement, rowMode: 'array' }))
    await allOf([...sent, client.query('COMMIT')])
  })

function atomically<T>(pool: pg.Pool, work: Work<T>, timeoutMs: number): Promise<T> {
  const effects: Array<() => void> = []
  const deadline = performance.now() + timeoutMs
  // The caller has got SERVICE_UNAVAILABLE by then: a transaction that can still roll back, does.
  const refuseLate = () => {
    if (performance.now() > deadline) throw unavailable(new Error('the transaction came too late'))
  }
  const transaction = inTransaction(pool, async (client, begun) => {
    const tx: Tx = {
      async query(statement) {
        refuseLate()
        const [, { rows }] = await allOf([begun, client.query(statement)])
        return rows
      },
    }
    const result = await work(tx, (effect) => effects.push(effect))
    refuseLate()
    const [, { command }] = await allOf([begun, client.query('COMMIT')])
    // All that PostgreSQL reports about a failed statement whose error the work swallowed.
    if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`)
    return result
  })
  const committed = transaction.then((result) => {
    for (const effect of effects) effect()
    return result
  })
  return withTimeout(timeoutMs, committed, unavailable)
}

/** Batch statements must fail fast, and a quiet period must not cost the next event a new connection. */
const openBatchPool = (options: DatabaseOptions, statementTimeoutMs: number) =>
  openPool(options, {
    max: BATCH_CONNECTIONS,
    idleTimeoutMillis: 0,
    query_timeout: statementTimeoutMs,
    // Rows are found by index: a plan made while the tables were empty would scan them.
    // A process that is stopped in the middle of a transaction must not keep its locks.
    options: '-c enable_seqscan=off -c idle_in_transaction_session_timeout=2000',
    pipeline: true,
  })

/** Transactions on one order or payment take turns, and so do those that wait for a connection meanwhile. */
const openTransactionPool = (options: DatabaseOptions, timeoutMs: number) =>
  openPool(options, {
    max: TRANSACTION_CONNECTIONS,
    query_timeout: timeoutMs,
    connectionTimeoutMillis: timeoutMs,
    idleTimeoutMillis: 60_000,
    options: '-c idle_in_transaction_session_timeout=2000',
    pipeline: true,
  })

function openPool(
  { url, applicationName, log, connectTimeoutMs = CONNECT_TIMEOUT_MS }: DatabaseOptions,
  config: pg.PoolConfig & { query_timeout: number },
): pg.Pool {
  const pool = new pg.Pool({
    connectionTimeoutMillis: connectTimeoutMs,
    ...config,
    connectionString: url,
    application_name: applicationName,
    // The server gives up a little later than the client, so that abandoned statements do not pile up on it.
    statement_timeout: config.query_timeout + 1000,
    keepAlive: true,
  })
  // The pool replaces an idle connection that breaks; without a listener the error would end the process.
  pool.on('error', (err) => log.warn({ err }, 'an idle database connection broke'))
  return pool
}
