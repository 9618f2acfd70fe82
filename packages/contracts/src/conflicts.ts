// Conflicts: inbound events that contradict stored ones, for operators.
import { type Static, Type } from 'typebox'
import { Nullable, Page, PageQuery, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

export const Conflict = Type.Object({
  kind: Type.Enum(['transaction', 'payment_event', 'payment'], {
    type: 'string',
    description:
      '`transaction`, `payment_event`: a duplicate differs from the first event of its id. `payment`: an event contradicts its payment',
  }),
  id: Type.String({
    description: 'The external id of the contradicted transaction, event or payment',
  }),
  fields: Type.Array(Type.String(), {
    description: 'The differing fields; `refunded_amount`: the refunds exceed the amount of the payment',
  }),
  deliveries: Type.Integer({ description: 'How often this body was received' }),
  first_seen_at: Timestamp,
  last_seen_at: Timestamp,
  payload: Nullable(Type.String({ description: 'The raw body; null when retention removed it' })),
})
export type Conflict = Static<typeof Conflict>

export const listConflicts = defineRoute({
  method: 'GET',
  url: '/api/v1/conflicts',
  operationId: 'listConflicts',
  summary: 'List inbound events that contradict stored ones, latest first',
  description: 'One row for each distinct body, at most 20 for each id.',
  tags: ['Operations'],
  access: 'sandbox',
  querystring: PageQuery,
  response: { 200: Page(Conflict) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})
