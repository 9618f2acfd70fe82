// PostgreSQL: three pools (batches, which must be quick to fail; transactions, which may wait for each other's locks; reads), Prisma for ordinary reads and plain statements for what is written.
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from '../generated/client.ts'
import { unavailable } from './errors.ts'
import type { Logger } from './logger.ts'
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

export interface Database {
  prisma: PrismaClient
  /** One statement on the batch connections; rows as arrays. Rejects within about a second when the server doesn't answer. */
  batch: (statement: Statement) => Promise<{ rows: unknown[][]; rowCount: number }>
  /**
   * One transaction on a batch connection, in two trips: `lock` locks and reads, `decide` says from its rows what to
   * write, and that is sent together with the COMMIT. Rejects with the first error of any part; then nothing is written
   * (or, when the connection broke at the COMMIT, nobody knows).
   */
  lockThenWrite: (lock: Statement, decide: (rows: unknown[][]) => Statement[]) => Promise<void>
  /**
   * Runs `work` in one database transaction (READ COMMITTED). What is handed to `afterCommit` runs once the commit has
   * succeeded, and not at all when it fails, so that side effects never tell of what was rolled back. Rejects, as
   * SERVICE_UNAVAILABLE, after about two statement timeouts; then the transaction is given up, or nobody knows.
   */
  atomically: <T>(
    work: (tx: Tx, afterCommit: AfterCommit) => Promise<T>,
    /** Less time than that. */
    limits?: { withinMs?: number },
  ) => Promise<T>
  /** Opens connections ahead of the first delivery and payment; does nothing when the server is away. */
  warmUp: () => Promise<void>
  close: () => Promise<void>
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  log: Logger
  /** Client-side limit of one batch statement, and of half a transaction: a frozen server sends no error. */
  statementTimeoutMs?: number
  /** Client-side limit of a connection's beginning, the wait for a free one included. */
  connectTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 400
const READ_TIMEOUT_MS = 3000
const BATCH_CONNECTIONS = 5
const TRANSACTION_CONNECTIONS = 10
const READ_CONNECTIONS = 8

export function openDatabase(options: DatabaseOptions): Database {
  const { statementTimeoutMs = 500, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options
  const batchPool = openPool(options, {
    max: BATCH_CONNECTIONS,
    idleTimeoutMillis: 0, // a delivery after a quiet while must not wait for a connection
    query_timeout: statementTimeoutMs,
    // Work is found by index or not at all: a plan made while the tables were new and empty would read them whole.
    // A process that is stopped in the middle of a transaction must not keep its locks.
    options: '-c enable_seqscan=off -c idle_in_transaction_session_timeout=2000',
    pipeline: true,
  })
  // Answered within a second whatever happens, where a statement may take half of one.
  const transactionTimeoutMs = 2 * statementTimeoutMs - 100
  const transactionPool = openPool(options, {
    max: TRANSACTION_CONNECTIONS,
    // Transactions on one order or payment take turns, and so do those that wait for a connection meanwhile.
    query_timeout: transactionTimeoutMs,
    connectionTimeoutMillis: transactionTimeoutMs,
    idleTimeoutMillis: 60_000,
    options: '-c idle_in_transaction_session_timeout=2000',
    pipeline: true,
  })
  const readPool = openPool(options, { max: READ_CONNECTIONS, query_timeout: READ_TIMEOUT_MS })
  const prisma = new PrismaClient({
    adapter: new PrismaPg(readPool),
    transactionOptions: { maxWait: connectTimeoutMs, timeout: READ_TIMEOUT_MS },
  })
  return {
    prisma,
    async batch(statement) {
      const result = await batchPool.query({ ...statement, rowMode: 'array' })
      return { rows: result.rows, rowCount: result.rowCount ?? 0 }
    },
    lockThenWrite: (lock, decide) =>
      inTransaction(batchPool, async (client, begun) => {
        const [, { rows }] = await allOf([begun, client.query({ ...lock, rowMode: 'array' })])
        const writes = decide(rows)
        // If one fails the rest do too, and the COMMIT ends as a ROLLBACK.
        const sent = writes.map((statement) => client.query({ ...statement, rowMode: 'array' }))
        await allOf([...sent, client.query('COMMIT')])
      }),
    async atomically(work, { withinMs = transactionTimeoutMs } = {}) {
      const effects: Array<() => void> = []
      const timeoutMs = Math.min(withinMs, transactionTimeoutMs)
      const deadline = performance.now() + timeoutMs
      // Nobody waits for it any more: what was answered "unknown" is better not done.
      const refuseLate = () => {
        if (performance.now() > deadline) throw unavailable(new Error('the transaction came too late'))
      }
      const transaction = inTransaction(transactionPool, async (client, begun) => {
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
        // Of a statement that failed and whose error nobody handed on, PostgreSQL says no more than this.
        if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`)
        return result
      })
      const committed = transaction.then((result) => {
        for (const effect of effects) effect()
        return result
      })
      return withTimeout(timeoutMs, committed, unavailable)
    },
    async warmUp() {
      const connect = (pool: pg.Pool) =>
        Array.from({ length: BATCH_CONNECTIONS }, () => pool.query('SELECT 1'))
      const reads = prisma.$queryRaw`SELECT 1` // its first query loads a good part of it, too
      await Promise.allSettled([...connect(batchPool), ...connect(transactionPool), reads])
    },
    async close() {
      await prisma.$disconnect()
      await Promise.all([batchPool.end(), transactionPool.end(), readPool.end()])
    },
  }
}

/** Runs `work` between BEGIN, whose answer it need not wait for, and its own COMMIT; whatever fails is rolled back. */
async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, begun: Promise<unknown>) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  // While it is ours a connection that breaks is ours to hear of, too; what it was doing rejects by itself.
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  const begun = client.query('BEGIN')
  begun.catch(() => {}) // heard of with the first statement
  try {
    return await work(client, begun)
  } catch (error) {
    await client.query('ROLLBACK').catch((cause) => {
      broken = cause
    })
    throw error
  } finally {
    client.removeListener('error', onError)
    client.release(broken)
  }
}

/** All results, or the first error once everything has ended: what follows an error is only its echo. */
async function allOf<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ [I in keyof T]: Awaited<T[I]> }> {
  const results = await Promise.allSettled(promises)
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as {
    [I in keyof T]: Awaited<T[I]>
  }
}

function openPool(
  { url, applicationName, log, connectTimeoutMs = CONNECT_TIMEOUT_MS }: DatabaseOptions,
  config: pg.PoolConfig & { query_timeout: number },
): pg.Pool {
  const pool = new pg.Pool({
    connectionTimeoutMillis: connectTimeoutMs,
    ...config,
    connectionString: url,
    application_name: applicationName,
    // The server gives up a little later than the client, so that abandoned statements don't pile up on it.
    statement_timeout: config.query_timeout + 1000,
    keepAlive: true,
  })
  // A connection that breaks while idle is replaced by the pool; without a listener it would end the process.
  pool.on('error', (err) => log.warn({ err }, 'an idle database connection broke'))
  return pool
}

/** For reads of one object, which testers and payers poll for. */
export const FIND_TIMEOUT_MS = 800
