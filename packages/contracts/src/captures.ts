// Capture: a merchant takes a successful payment, once and in full.
import { type Static, Type } from 'typebox'
import { AMOUNT_MAX } from './fields.ts'
import { Payment } from './payments.ts'
import { defineRoute } from './route.ts'

export const CaptureRequest = Type.Object(
  {
    amount: Type.Integer({
      minimum: 1,
      maximum: AMOUNT_MAX,
      description: `an integer of minor units from 1 to ${AMOUNT_MAX}, the payment's own amount`,
    }),
  },
  { examples: [{ amount: 50000 }] },
)
export type CaptureRequest = Static<typeof CaptureRequest>

export const capturePayment = defineRoute({
  method: 'POST',
  url: '/api/v1/payments/:payment_id/capture',
  operationId: 'capturePayment',
  summary: 'Capture a successful payment',
  description: 'Once, in full, and before the first refund.',
  tags: ['Payments'],
  access: 'merchant',
  idempotent: true,
  params: Type.Object({ payment_id: Type.String({ examples: ['pay_H8sK3jD9s2L1pQrT'] }) }),
  body: CaptureRequest,
  response: { 200: Payment },
  errors: [
    'BAD_REQUEST_ERROR',
    'AUTHENTICATION_ERROR',
    'NOT_FOUND_ERROR',
    'CONFLICT_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
})
