// Payment events: record and fold into the payment → (queue) → follow up, and read.
export { paymentEventWork, publishPaymentEventJob } from './jobs.ts'
export { publishChanged } from './publish.ts'
export {
  countExternalPayments,
  findPaymentEvents,
  listExternalPayments,
  noExternalPayments,
  summarizeExternalPayments,
} from './read.ts'
export { createPaymentEventRecorder, type PaymentEventRecorder, type RecordedEvent } from './record.ts'
export { unpackSnapshot } from './snapshot.ts'
