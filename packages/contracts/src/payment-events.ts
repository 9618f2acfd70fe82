// Payment events: the inbound event that processors post, and the reads of external payments.
import { type Static, Type } from 'typebox'
import { AMOUNT_MAX, BareList, Currency, ExternalId, Nullable, pageFields, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

/** Unix seconds of 2100-01-01, the latest accepted time of a processor's clock. */
const TIMESTAMP_MAX = 4_102_444_800

export const externalPaymentStatuses = ['pending', 'completed', 'failed', 'refunded'] as const
export const ExternalPaymentStatus = Type.Enum(externalPaymentStatuses, {
  type: 'string',
  description: `one of ${externalPaymentStatuses.join(', ')}`,
})
export type ExternalPaymentStatus = Static<typeof ExternalPaymentStatus>

const EventName = Type.Enum(
  externalPaymentStatuses.map((status) => `payment.${status}` as const),
  {
    type: 'string',
    description: `one of ${externalPaymentStatuses.map((status) => `payment.${status}`).join(', ')}`,
  },
)
export type PaymentEventName = Static<typeof EventName>

const MinorAmount = Type.Integer({
  minimum: 0,
  maximum: AMOUNT_MAX,
  description: `an integer of minor units (cents) from 0 to ${AMOUNT_MAX}`,
  examples: [25000],
})

const UnixSeconds = Type.Integer({
  minimum: 0,
  maximum: TIMESTAMP_MAX,
  description: `an integer of Unix time (seconds, not milliseconds) from 0 to ${TIMESTAMP_MAX}`,
  examples: [1710000000],
})

const example = {
  event_id: 'evt_7f3a9c2b',
  payment_id: 'pay_1001',
  event: 'payment.completed',
  amount: 25000,
  currency: 'USD',
  user_id: 'user_881',
  timestamp: 1710000000,
} as const

export const PaymentEventRequest = Type.Object(
  {
    event_id: ExternalId,
    payment_id: ExternalId,
    event: EventName,
    amount: MinorAmount,
    currency: Currency,
    user_id: ExternalId,
    timestamp: UnixSeconds,
  },
  { description: 'Unknown fields are ignored, and kept in the stored payload.', examples: [example] },
)
export type PaymentEventRequest = Static<typeof PaymentEventRequest>

export const AcceptedPaymentEvent = Type.Object(
  {
    event_id: Type.String(),
    payment_id: Type.String({ description: 'The payment of the event, as first received' }),
    status: ExternalPaymentStatus,
    duplicate: Type.Boolean({
      description: 'true when the event was already known; nothing changed',
    }),
    conflict: Type.Optional(
      Type.Boolean({
        description: 'true when a field differs from the first one; operators can see the difference',
      }),
    ),
  },
  {
    description:
      'The event is durable, by this request or an earlier one; `status` is the current status of its payment',
    examples: [
      {
        event_id: example.event_id,
        payment_id: example.payment_id,
        status: 'completed',
        duplicate: false,
      },
    ],
  },
)
export type AcceptedPaymentEvent = Static<typeof AcceptedPaymentEvent>

export const ExternalPayment = Type.Object(
  {
    payment_id: Type.String(),
    status: ExternalPaymentStatus,
    event: EventName,
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    user_id: Type.String(),
    refunded_amount: Type.Integer({ description: 'Minor units; the sum of the refunds in `currency`' }),
    timestamp: Type.Integer({
      description: "Time of the deciding event, in Unix seconds by the processor's clock",
    }),
    created_at: Timestamp,
    updated_at: Timestamp,
    events_count: Type.Integer({ description: 'Distinct events' }),
  },
  {
    examples: [
      {
        payment_id: example.payment_id,
        status: 'completed',
        event: example.event,
        amount: example.amount,
        currency: example.currency,
        user_id: example.user_id,
        refunded_amount: 0,
        timestamp: example.timestamp,
        created_at: '2024-03-09T16:00:00.000Z',
        updated_at: '2024-03-09T16:00:00.000Z',
        events_count: 1,
      },
    ],
  },
)
export type ExternalPayment = Static<typeof ExternalPayment>

/** The effect of an event at its arrival. */
export const EventOutcome = Type.Enum(['applied', 'superseded', 'ignored'], {
  type: 'string',
  description:
    '`applied`: the event decided the payment or counts as a refund. Others did not change its status',
})
export type EventOutcome = Static<typeof EventOutcome>

export const PaymentEventRecord = Type.Object(
  {
    event_id: Type.String(),
    event: EventName,
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    user_id: Type.String(),
    timestamp: Type.Integer({ description: "Unix seconds by the processor's clock" }),
    received_at: Timestamp,
    outcome: EventOutcome,
    reason: Nullable(Type.String({ description: 'Why the event did not decide the status' })),
    deliveries: Type.Integer({ description: 'How often the event was received' }),
    payload: Nullable(Type.String({ description: 'The first raw body; null when retention removed it' })),
  },
  {
    examples: [
      {
        event_id: example.event_id,
        event: example.event,
        amount: example.amount,
        currency: example.currency,
        user_id: example.user_id,
        timestamp: example.timestamp,
        received_at: '2024-03-09T16:00:00.000Z',
        outcome: 'applied',
        reason: null,
        deliveries: 1,
        payload: JSON.stringify(example),
      },
    ],
  },
)
export type PaymentEventRecord = Static<typeof PaymentEventRecord>

export const ExternalPaymentsSummary = Type.Object(
  {
    counts: Type.Object(
      Object.fromEntries(externalPaymentStatuses.map((status) => [status, Type.Integer()])) as Record<
        ExternalPaymentStatus,
        ReturnType<typeof Type.Integer>
      >,
      { description: 'Payments of each status, independent of ?status=' },
    ),
    totals: Type.Array(
      Type.Object({
        currency: Type.String(),
        status: ExternalPaymentStatus,
        count: Type.Integer(),
        amount: Type.Integer({ description: 'Minor units' }),
        refunded_amount: Type.Integer({ description: 'Minor units' }),
      }),
      { description: 'Sums by currency and status, for the requested status or for all' },
    ),
  },
  { description: 'Counts and sums' },
)
export type ExternalPaymentsSummary = Static<typeof ExternalPaymentsSummary>

const StatusQuery = { status: Type.Optional(ExternalPaymentStatus) }

/** Lists of external payments and of their events have long pages, since pages and testers read them whole. */
const longPageFields = pageFields({ limitMax: 1000, limitDefault: 1000 })

export const ExternalPaymentsQuery = Type.Object({ ...StatusQuery, ...longPageFields })
export type ExternalPaymentsQuery = Static<typeof ExternalPaymentsQuery>

const tags = ['Payment events']

export const postPaymentEvent = defineRoute({
  method: 'POST',
  url: '/webhooks/payment',
  operationId: 'postPaymentEvent',
  summary: 'Post a payment event',
  description:
    'Responds 202 when the event is durable and its payment is updated, in one commit: the list shows it at once. Events may arrive twice, late and out of order. A duplicate is 202 too and changes nothing. 503 means "unknown, send again", which is always safe.',
  tags,
  signed: true,
  body: PaymentEventRequest,
  response: { 202: AcceptedPaymentEvent },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const listExternalPayments = defineRoute({
  method: 'GET',
  url: '/payments',
  operationId: 'listExternalPayments',
  summary: 'List external payments, the last changed first',
  tags,
  access: 'sandbox',
  querystring: ExternalPaymentsQuery,
  response: { 200: BareList(ExternalPayment, 'A page of payments') },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getExternalPaymentsSummary = defineRoute({
  method: 'GET',
  url: '/payments/summary',
  operationId: 'getExternalPaymentsSummary',
  summary: 'Count external payments by status, and sum them by currency and status',
  tags,
  access: 'sandbox',
  querystring: Type.Object(StatusQuery),
  response: { 200: ExternalPaymentsSummary },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const listPaymentEvents = defineRoute({
  method: 'GET',
  url: '/payments/:payment_id/events',
  operationId: 'listPaymentEvents',
  summary: "Read an external payment's audit trail, in order of arrival",
  tags,
  access: 'sandbox',
  params: Type.Object({ payment_id: Type.String({ examples: [example.payment_id] }) }),
  querystring: Type.Object(longPageFields),
  response: { 200: BareList(PaymentEventRecord, "A page of the payment's events") },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

/** The name of the stream's events. They carry no data: listeners read the lists again. */
export const PAYMENTS_CHANGED = 'change'

export const streamExternalPayments = defineRoute({
  method: 'GET',
  url: '/payments/stream',
  operationId: 'streamExternalPayments',
  summary: 'Receive notice of changed external payments (server-sent events)',
  description: `An event \`${PAYMENTS_CHANGED}\` at most once a second, without data, and a comment every 15 s.`,
  tags,
  access: 'sandbox',
  // A stream, which no schema serialises. The media type is for the OpenAPI document.
  response: {
    200: Type.String({
      contentMediaType: 'text/event-stream',
      description: 'The endless stream',
      examples: [`retry: 2000\n\nevent: ${PAYMENTS_CHANGED}\ndata: \n\n: still here\n\n`],
    }),
  },
  errors: ['AUTHENTICATION_ERROR'],
})
