// Processing a transaction: once its time has come, the row is completed and its webhook published, in one commit.
import { type Completer, type CompleterDeps, createCompleter } from '../platform/complete.ts'
import type { Enqueuer } from '../platform/enqueue.ts'
import { transactionWork } from './jobs.ts'
import { publishProcessed } from './publish.ts'

/** The handler of transactions' jobs. `webhooks` wakes up the delivery loop after the commit. */
export const createTransactionProcessor = (deps: CompleterDeps & { webhooks: Enqueuer }): Completer =>
  createCompleter(deps, transactionWork, publishProcessed(deps.webhooks))
