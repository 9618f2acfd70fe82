// Conflicts: deliveries that contradict what was known, for operators (SPEC 3 and 4).
import { type Static, Type } from 'typebox'
import { Nullable, Page, PageQuery, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

export const Conflict = Type.Object({
  kind: Type.Enum(['transaction', 'payment_event', 'payment'], {
    type: 'string',
    description:
      '`transaction`, `payment_event`: a redelivery differs from the first delivery. `payment`: an event contradicts its payment',
  }),
  id: Type.String({
    description: 'The external id of the transaction, event or payment that is contradicted',
  }),
  fields: Type.Array(Type.String(), {
    description: 'What contradicts; `refunded_amount`: refunds are above the amount of the payment',
  }),
  deliveries: Type.Integer({ description: 'How often this differing body has come' }),
  first_seen_at: Timestamp,
  last_seen_at: Timestamp,
  payload: Nullable(
    Type.String({ description: 'The raw body of the first such delivery; null when retention removed it' }),
  ),
})
export type Conflict = Static<typeof Conflict>

export const listConflicts = defineRoute({
  method: 'GET',
  url: '/api/v1/conflicts',
  operationId: 'listConflicts',
  summary: 'List deliveries that contradict what was known, latest first',
  description: 'One row for each distinct body, at most 20 for an id.',
  tags: ['Operations'],
  access: 'sandbox',
  querystring: PageQuery,
  response: { 200: Page(Conflict) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})
