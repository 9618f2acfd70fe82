// Payment events: record and fold into the payment → (queue) → follow up, and read.
export { followUpPaymentEventJob, paymentEventWork } from './jobs.ts'
export {
  countExternalPayments,
  findPaymentEvents,
  listExternalPayments,
  noExternalPayments,
  summarizeExternalPayments,
} from './read.ts'
export { createPaymentEventRecorder, type PaymentEventRecorder, type RecordedEvent } from './record.ts'
export { unpackSnapshot } from './snapshot.ts'
export { tellChanged } from './tell.ts'
