// Payments and refunds: create → (queue) → claim the order, ask the bank, settle; capture; read.
export type { Bank } from './bank.ts'
export { capturePayment } from './capture.ts'
export { createPayment } from './create.ts'
export { createRefund } from './create-refund.ts'
export { paymentWork, processPaymentJob, processRefundJob, refundWork } from './jobs.ts'
export { createPaymentHandler } from './process.ts'
export { createRefundHandler } from './process-refund.ts'
export {
  findPayment,
  findPublicPayment,
  findRefund,
  listPayments,
  listRefunds,
  readTimeline,
} from './read.ts'
export { createSimulatedBank } from './simulated-bank.ts'
export { readStats } from './stats.ts'
