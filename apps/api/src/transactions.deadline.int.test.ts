// The deadline of processing: within a second of the due time, on both queue backends.
import { getTransaction, postTransaction } from '@sluice/contracts'
import { queueBackends, startSystem, transactionBody, untilKnown, waitFor } from '@sluice/testing'
import { describe, expect, inject, onTestFinished, test } from 'vitest'

const DELAY_MS = 1000

describe.for(queueBackends)('with the queue on $backend', ({ backend, available }) => {
  test.skipIf(!available)(
    'a transaction is PROCESSING at once, and PROCESSED within a second of its due time',
    async () => {
      const env = { TRANSACTION_PROCESSING_DELAY_MS: String(DELAY_MS) }
      const system = await startSystem({ postgresUrl: inject('postgresUrl'), backend, env })
      onTestFinished(system.stop)
      const body = transactionBody('txn_in_time')
      const { status } = await untilKnown(() => system.call(postTransaction, { body }))
      expect(status).toBe(202)
      const read = async () => (await system.call(getTransaction, { params: body })).body
      expect(await read()).toMatchObject({ status: 'PROCESSING', processed_at: null })
      const { created_at, processed_at } = await waitFor('the transaction to be processed', async () => {
        const found = await read()
        return 'status' in found && found.status === 'PROCESSED' ? found : undefined
      })
      const lateMs = Date.parse(processed_at!) - Date.parse(created_at) - DELAY_MS
      expect(lateMs).toBeGreaterThanOrEqual(0)
      expect(lateMs).toBeLessThan(1000)
    },
  )
})
