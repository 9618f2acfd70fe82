// Every table whose rows are work: what dispatchers look through, and what is counted.
import { paymentEventWork } from './payment-events/jobs.ts'
import { paymentWork, refundWork } from './payments/jobs.ts'
import type { WorkTable } from './platform/work-table.ts'
import { transactionWork } from './transactions/jobs.ts'

export const allWork: readonly WorkTable[] = [transactionWork, paymentEventWork, paymentWork, refundWork]
