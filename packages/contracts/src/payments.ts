// Payments: a payer's attempts to pay an order, and their timeline.
import { type Static, Type } from 'typebox'
import { bankScenarios } from './bank-scenarios.ts'
import { Nullable, Page, PlainText, pageFields, Timestamp } from './fields.ts'
import { cardNetworks } from './payment-methods.ts'
import { defineRoute } from './route.ts'

export const paymentStatuses = ['created', 'pending', 'success', 'failed'] as const
export const PaymentStatus = Type.Enum(paymentStatuses, {
  type: 'string',
  description: `one of ${paymentStatuses.join(', ')}`,
})
export type PaymentStatus = Static<typeof PaymentStatus>

export const paymentMethods = ['upi', 'card', 'gateway'] as const
export const PaymentMethod = Type.Enum(paymentMethods, {
  type: 'string',
  description: `one of ${paymentMethods.join(', ')}`,
})
export type PaymentMethod = Static<typeof PaymentMethod>

const example = {
  id: 'pay_H8sK3jD9s2L1pQrT',
  order_id: 'order_NXhj67fGH2jk9mPq',
  amount: 50000,
  currency: 'INR',
  method: 'upi',
  vpa: 'user@paytm',
  status: 'pending',
  captured: false,
  refunded_amount: 0,
  error_code: null,
  error_description: null,
  created_at: '2024-01-15T10:31:00.000Z',
  updated_at: '2024-01-15T10:31:00.000Z',
} as const

const CardText = (description: string) => Type.String({ description })

const Card = Type.Object(
  {
    number: CardText('a string of 13 to 19 digits, optionally with spaces and dashes'),
    expiry_month: CardText('a string of one or two digits, from 1 to 12'),
    expiry_year: CardText('a string of two or four digits, such as "30" or "2030"'),
    cvv: CardText('a string of three digits, or of four for American Express'),
    holder_name: PlainText(255, 1),
  },
  { description: 'an object with number, expiry_month, expiry_year, cvv and holder_name' },
)

export const PaymentRequest = Type.Object(
  {
    order_id: Type.String({ description: 'the id of an order' }),
    method: Type.Enum(['upi', 'card'], { type: 'string', description: 'one of upi, card' }),
    vpa: Type.Optional(
      Type.String({ description: 'a string such as "name@bank", required when method is upi' }),
    ),
    card: Type.Optional(Card),
  },
  {
    description: '`vpa` belongs to `upi`, `card` to `card`. Card data is never stored.',
    examples: [
      { order_id: example.order_id, method: 'upi', vpa: 'success@test' },
      {
        order_id: example.order_id,
        method: 'card',
        card: {
          number: '4111111111111111',
          expiry_month: '12',
          expiry_year: '2099',
          cvv: '123',
          holder_name: 'John Doe',
        },
      },
    ],
  },
)
export type PaymentRequest = Static<typeof PaymentRequest>

const ErrorFields = {
  error_code: Nullable(Type.String({ description: 'Why the payment failed; null otherwise' })),
  error_description: Nullable(Type.String({ description: 'The same, for people' })),
}

export const Payment = Type.Object(
  {
    id: Type.String(),
    order_id: Type.String(),
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    method: PaymentMethod,
    vpa: Type.Optional(Type.String({ description: 'Of upi payments' })),
    card_network: Type.Optional(Type.Enum(cardNetworks, { type: 'string', description: 'Of card payments' })),
    card_last4: Type.Optional(Type.String({ description: 'Of card payments' })),
    status: PaymentStatus,
    captured: Type.Boolean(),
    refunded_amount: Type.Integer({
      description: 'Minor units; the sum of refunds that are pending or processed',
    }),
    ...ErrorFields,
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { description: 'A payment', examples: [example] },
)
export type Payment = Static<typeof Payment>

export const PublicPayment = Type.Object(
  {
    id: Type.String(),
    order_id: Type.String(),
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    method: PaymentMethod,
    status: PaymentStatus,
    ...ErrorFields,
  },
  {
    description: "The payer's view of a payment",
    examples: [
      {
        id: example.id,
        order_id: example.order_id,
        amount: example.amount,
        currency: example.currency,
        method: example.method,
        status: example.status,
        error_code: null,
        error_description: null,
      },
    ],
  },
)
export type PublicPayment = Static<typeof PublicPayment>

export const paymentChanges = [
  'created',
  'bank_asked',
  'success',
  'failed',
  'captured',
  'refund_created',
  'refund_processed',
  'refund_failed',
] as const
export type PaymentChange = (typeof paymentChanges)[number]

export const TimelineEntry = Type.Object(
  {
    at: Timestamp,
    change: Type.Enum(paymentChanges, { type: 'string', description: 'The change' }),
    amount: Type.Integer({ description: "Minor units: the payment's, or the refund's" }),
    refund_id: Nullable(Type.String()),
    cause: Type.String({ description: 'The actor of the change' }),
    request_id: Type.String({ description: 'The id of the request that created the payment or refund' }),
  },
  {
    examples: [
      {
        at: example.created_at,
        change: 'created',
        amount: example.amount,
        refund_id: null,
        cause: 'merchant',
        request_id: 'kV3xw0Qe-17',
      },
    ],
  },
)
export type TimelineEntry = Static<typeof TimelineEntry>

export const DayOrTime = (which: string) =>
  Type.String({
    pattern: '^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,6})?)?(Z|[+-]\\d{2}:\\d{2}))?$',
    description: `a day (2024-01-15, UTC) or an ISO 8601 time with its zone (2024-01-15T10:30:00Z)${which}`,
  })

export const PaymentsQuery = Type.Object({
  status: Type.Optional(PaymentStatus),
  method: Type.Optional(PaymentMethod),
  order_id: Type.Optional(Type.String({ description: 'the id of an order' })),
  from: Type.Optional(DayOrTime('; payments created then or later')),
  to: Type.Optional(DayOrTime('; payments created until then, that day included')),
  search: Type.Optional(
    PlainText(255, 0, ': a part of a payment or order id, of a VPA, or the last four digits of a card'),
  ),
  ...pageFields({ limitMax: 100, limitDefault: 10 }),
})
export type PaymentsQuery = Static<typeof PaymentsQuery>

const tags = ['Payments']
const params = Type.Object({ payment_id: Type.String({ examples: [example.id] }) })

const HOW_IT_ENDS =
  'The response has the status `pending`; a worker settles the payment as `success` or `failed`. A paid order cannot be paid again: of concurrent payments of one order exactly one succeeds, the others fail with `ORDER_ALREADY_PAID`.'

const MAGIC_VALUES = `In the sandbox these values script the bank; others succeed by chance:\n\n${bankScenarios
  .map(({ value, description }) => `- \`${value}\`: ${description}`)
  .join('\n')}`

export const createPayment = defineRoute({
  method: 'POST',
  url: '/api/v1/payments',
  operationId: 'createPayment',
  summary: 'Pay an order',
  description: `${HOW_IT_ENDS}\n\n${MAGIC_VALUES}`,
  tags,
  access: 'merchant',
  idempotent: true,
  body: PaymentRequest,
  response: { 201: Payment },
  errors: [
    'BAD_REQUEST_ERROR',
    'INVALID_VPA',
    'INVALID_CARD',
    'EXPIRED_CARD',
    'AUTHENTICATION_ERROR',
    'NOT_FOUND_ERROR',
    'CONFLICT_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
})

/** The limit for one order through the public route. */
export const UNPAID_PAYMENTS_MAX = 50

export const createPublicPayment = defineRoute({
  method: 'POST',
  url: '/api/v1/payments/public',
  operationId: 'createPublicPayment',
  summary: 'Pay an order as its payer',
  description: `${HOW_IT_ENDS} At most ${UNPAID_PAYMENTS_MAX} payments of one order may be unsettled or failed.\n\n${MAGIC_VALUES}`,
  tags,
  rateLimited: true,
  idempotent: true,
  body: PaymentRequest,
  response: { 201: PublicPayment },
  errors: [
    'BAD_REQUEST_ERROR',
    'INVALID_VPA',
    'INVALID_CARD',
    'EXPIRED_CARD',
    'NOT_FOUND_ERROR',
    'CONFLICT_ERROR',
    'RATE_LIMIT_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
})

export const listPayments = defineRoute({
  method: 'GET',
  url: '/api/v1/payments',
  operationId: 'listPayments',
  summary: 'List your payments, newest first',
  tags,
  access: 'merchant',
  querystring: PaymentsQuery,
  response: { 200: Page(Payment) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getPayment = defineRoute({
  method: 'GET',
  url: '/api/v1/payments/:payment_id',
  operationId: 'getPayment',
  summary: 'Read a payment',
  tags,
  access: 'merchant',
  params,
  response: { 200: Payment },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getPublicPayment = defineRoute({
  method: 'GET',
  url: '/api/v1/payments/:payment_id/public',
  operationId: 'getPublicPayment',
  summary: 'Read a payment as its payer',
  tags,
  rateLimited: true,
  params,
  response: { 200: PublicPayment },
  errors: ['NOT_FOUND_ERROR', 'RATE_LIMIT_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getPaymentTimeline = defineRoute({
  method: 'GET',
  url: '/api/v1/payments/:payment_id/timeline',
  operationId: 'getPaymentTimeline',
  summary: "Read a payment's timeline, in order",
  description: 'Append-only: each change of the payment and its refunds, with its cause.',
  tags,
  access: 'merchant',
  params,
  querystring: Type.Object(pageFields({ limitMax: 100, limitDefault: 100 })),
  response: { 200: Page(TimelineEntry) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})
