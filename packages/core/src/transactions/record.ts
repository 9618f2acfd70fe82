// Recording a transaction: the first event of an id is stored; a duplicate changes nothing, and may be a conflict.
import { majorAmountProblem } from '@sluice/contracts'
import { createIngest, type IngestDeps, type Stored } from '../inbound/index.ts'
import { badRequest } from '../platform/errors.ts'
import { createGroupCommit } from '../platform/group-commit.ts'
import { processTransactionJob } from './jobs.ts'
import { contractFields, createTransactionStore, type InboundTransaction } from './store.ts'

export interface RecorderDeps extends IngestDeps {
  /** How long the simulated external processing takes. */
  processingDelayMs: number
}

export type RecordOutcome = Stored['outcome']

export interface TransactionRecorder {
  /**
   * Resolves once the transaction is durable. Rejects with BAD_REQUEST_ERROR for a wrong currency or amount, and
   * SERVICE_UNAVAILABLE, in under a second, when it cannot be stored.
   */
  record: (event: InboundTransaction) => Promise<RecordOutcome>
  drain: () => Promise<void>
}

/** The calls go down: record, group commit, `commitGroup` with its three steps. */
export function createTransactionRecorder(deps: RecorderDeps): TransactionRecorder {
  const { db, processingDelayMs, tracing, metrics } = deps
  const store = createTransactionStore(db, processingDelayMs)
  const ingest = createIngest<InboundTransaction, Stored>(deps, {
    kind: 'transaction',
    job: processTransactionJob,
    delayMs: processingDelayMs,
    idOf: (event) => event.transaction_id,
    contractText: (event) => JSON.stringify(contractFields.map((name) => event[name])),
  })
  const group = createGroupCommit<InboundTransaction, Stored>({
    ...ingest.limits,
    sizeBytes,
    commit: commitGroup,
  })
  metrics.observeIngestLoad('transaction', group.load)

  async function commitGroup(events: readonly InboundTransaction[], load: number) {
    const startedAt = performance.now()
    const enqueueNow = ingest.mayEnqueue(load) // 1. who enqueues
    // 2. store
    const stored = await store(events, enqueueNow).catch((error) => ingest.failed(events, error))
    // 3. enqueue, count, and record conflicts
    return ingest.committed({ events, stored, enqueueNow, durationMs: performance.now() - startedAt })
  }

  return {
    async record(event) {
      const problem = majorAmountProblem(event.amount, event.currency)
      if (problem !== undefined) throw badRequest(problem)
      const { outcome } = await group.submit(
        tracing === undefined ? event : { ...event, trace: tracing.current() },
      )
      return outcome
    },
    async drain() {
      await group.drain()
      await ingest.drain()
    },
  }
}

const sizeBytes = ({ payload, transaction_id, source_account, destination_account }: InboundTransaction) =>
  payload.length + transaction_id.length + source_account.length + destination_account.length + 64
