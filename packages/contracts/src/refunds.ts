// Refunds: the return of a successful payment to its payer, in full or in part.
import { type Static, Type } from 'typebox'
import { AMOUNT_MAX, Nullable, Page, PageQuery, PlainText, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

export const RefundStatus = Type.Enum(['pending', 'processed', 'failed'], {
  type: 'string',
  description: 'one of pending, processed, failed',
})

const example = {
  id: 'rfnd_K9pL2mN4oQ5rS8tU',
  payment_id: 'pay_H8sK3jD9s2L1pQrT',
  amount: 50000,
  reason: 'Customer requested refund',
  status: 'pending',
  error_code: null,
  error_description: null,
  created_at: '2024-01-15T10:33:00.000Z',
  updated_at: '2024-01-15T10:33:00.000Z',
  processed_at: null,
} as const

export const RefundRequest = Type.Object(
  {
    amount: Type.Integer({
      minimum: 1,
      maximum: AMOUNT_MAX,
      description: `an integer of minor units from 1 to ${AMOUNT_MAX}`,
    }),
    reason: Type.Optional(Nullable(PlainText(10_000))),
  },
  { examples: [{ amount: example.amount, reason: example.reason }] },
)
export type RefundRequest = Static<typeof RefundRequest>

export const Refund = Type.Object(
  {
    id: Type.String(),
    payment_id: Type.String(),
    amount: Type.Integer({ description: 'Minor units' }),
    reason: Nullable(Type.String()),
    status: RefundStatus,
    error_code: Nullable(Type.String({ description: 'Why the refund failed; null otherwise' })),
    error_description: Nullable(Type.String({ description: 'The same, for people' })),
    created_at: Timestamp,
    updated_at: Timestamp,
    processed_at: Nullable(Timestamp),
  },
  { description: 'A refund', examples: [example] },
)
export type Refund = Static<typeof Refund>

const tags = ['Refunds']
const paymentParams = Type.Object({ payment_id: Type.String({ examples: [example.payment_id] }) })

export const createRefund = defineRoute({
  method: 'POST',
  url: '/api/v1/payments/:payment_id/refunds',
  operationId: 'createRefund',
  summary: 'Refund a successful payment, in full or in part',
  description:
    'The response has the status `pending`; a worker settles the refund as `processed`, or as `failed` when the bank refuses it. The amount of a failed refund is available again. Pending and processed refunds together never exceed the payment.',
  tags,
  access: 'merchant',
  idempotent: true,
  params: paymentParams,
  body: RefundRequest,
  response: { 201: Refund },
  errors: [
    'BAD_REQUEST_ERROR',
    'AUTHENTICATION_ERROR',
    'NOT_FOUND_ERROR',
    'CONFLICT_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
})

export const listRefunds = defineRoute({
  method: 'GET',
  url: '/api/v1/payments/:payment_id/refunds',
  operationId: 'listRefunds',
  summary: 'List the refunds of a payment, newest first',
  tags,
  access: 'merchant',
  params: paymentParams,
  querystring: PageQuery,
  response: { 200: Page(Refund) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getRefund = defineRoute({
  method: 'GET',
  url: '/api/v1/refunds/:refund_id',
  operationId: 'getRefund',
  summary: 'Read a refund',
  tags,
  access: 'merchant',
  params: Type.Object({ refund_id: Type.String({ examples: [example.id] }) }),
  response: { 200: Refund },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})
