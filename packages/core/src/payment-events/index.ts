// Payment events: record and fold into the payment, then publish (by a job), and read.
export { paymentEventWork, publishPaymentEventJob } from './jobs.ts'
export { createPaymentEventHandler } from './publish.ts'
export {
  countExternalPayments,
  findPaymentEvents,
  listExternalPayments,
  noExternalPayments,
  summarizeExternalPayments,
} from './read.ts'
export { createPaymentEventRecorder, type PaymentEventRecorder } from './record.ts'
export { unpackSnapshot } from './snapshot.ts'
