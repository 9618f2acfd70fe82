// One transaction on a pooled connection, with pipelined statements.
import type pg from 'pg'

/** Runs `work` between BEGIN, whose result it need not await, and its own COMMIT; rolls back when `work` fails. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, begun: Promise<unknown>) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  // A checked-out connection that breaks emits its error here; its statements reject by themselves.
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  const begun = client.query('BEGIN')
  begun.catch(() => {}) // the first statement reports it
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

/** All results, or the first error once all have settled: later errors only follow from the first. */
export async function allOf<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ [I in keyof T]: Awaited<T[I]> }> {
  const results = await Promise.allSettled(promises)
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as {
    [I in keyof T]: Awaited<T[I]>
  }
}
