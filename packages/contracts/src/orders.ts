// Orders: what a payer is to pay to a merchant.
import { type Static, Type } from 'typebox'
import { AMOUNT_MAX, Currency, Nullable, Page, PageQuery, PlainText, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

/** The least amount of an order, in minor units. */
export const ORDER_AMOUNT_MIN = 100
/** The size of the notes as compact JSON in UTF-8. */
export const NOTES_BYTES_MAX = 64 * 1024

export const OrderStatus = Type.Enum(['created', 'paid'], {
  type: 'string',
  description: 'one of created, paid',
})

const Notes = Type.Object(
  {},
  { additionalProperties: true, description: 'an object, up to 64 KiB as JSON', examples: [{}] },
)

const example = {
  id: 'order_NXhj67fGH2jk9mPq',
  merchant_id: '550e8400-e29b-41d4-a716-446655440000',
  amount: 50000,
  currency: 'INR',
  receipt: 'receipt_123',
  notes: { customer_name: 'John Doe' },
  status: 'created',
  created_at: '2024-01-15T10:30:00.000Z',
  updated_at: '2024-01-15T10:30:00.000Z',
} as const

export const OrderRequest = Type.Object(
  {
    // No minimum: core/orders refuses a smaller amount with a fixed error text.
    amount: Type.Integer({
      maximum: AMOUNT_MAX,
      description: `an integer of minor units (such as paise), at least ${ORDER_AMOUNT_MIN} and at most ${AMOUNT_MAX}`,
      examples: [example.amount],
    }),
    currency: { ...Currency, default: 'INR' },
    receipt: Type.Optional(Nullable(PlainText(255))),
    notes: { ...Notes, default: {} },
  },
  {
    examples: [
      { amount: example.amount, currency: example.currency, receipt: example.receipt, notes: example.notes },
    ],
  },
)
export type OrderRequest = Static<typeof OrderRequest>

export const Order = Type.Object(
  {
    id: Type.String(),
    merchant_id: Type.String(),
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    receipt: Nullable(Type.String()),
    notes: Notes,
    status: OrderStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { description: 'An order', examples: [example] },
)
export type Order = Static<typeof Order>

export const PublicOrder = Type.Object(
  {
    id: Type.String(),
    amount: Type.Integer({ description: 'Minor units' }),
    currency: Type.String(),
    status: OrderStatus,
  },
  {
    description: "The payer's view of an order",
    examples: [
      { id: example.id, amount: example.amount, currency: example.currency, status: example.status },
    ],
  },
)
export type PublicOrder = Static<typeof PublicOrder>

const tags = ['Orders']
const params = Type.Object({ order_id: Type.String({ examples: [example.id] }) })

export const createOrder = defineRoute({
  method: 'POST',
  url: '/api/v1/orders',
  operationId: 'createOrder',
  summary: 'Create an order',
  tags,
  access: 'merchant',
  idempotent: true,
  body: OrderRequest,
  response: { 201: Order },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'CONFLICT_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getOrder = defineRoute({
  method: 'GET',
  url: '/api/v1/orders/:order_id',
  operationId: 'getOrder',
  summary: 'Read an order',
  tags,
  access: 'merchant',
  params,
  response: { 200: Order },
  errors: ['AUTHENTICATION_ERROR', 'NOT_FOUND_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const listOrders = defineRoute({
  method: 'GET',
  url: '/api/v1/orders',
  operationId: 'listOrders',
  summary: 'List your orders, newest first',
  tags,
  access: 'merchant',
  querystring: PageQuery,
  response: { 200: Page(Order) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const getPublicOrder = defineRoute({
  method: 'GET',
  url: '/api/v1/orders/:order_id/public',
  operationId: 'getPublicOrder',
  summary: 'Read an order as its payer',
  tags,
  rateLimited: true,
  params,
  response: { 200: PublicOrder },
  errors: ['NOT_FOUND_ERROR', 'RATE_LIMIT_ERROR', 'SERVICE_UNAVAILABLE'],
})
