// Conflicts: redeliveries that contradict what was delivered first, for operators (SPEC 3).
import { type Static, Type } from 'typebox'
import { Nullable, Page, PageQuery, Timestamp } from './fields.ts'
import { defineRoute } from './route.ts'

export const Conflict = Type.Object({
  kind: Type.Literal('transaction'),
  id: Type.String({ description: 'The external id that was delivered again' }),
  deliveries: Type.Integer({ description: 'How often this differing body has come' }),
  first_seen_at: Timestamp,
  last_seen_at: Timestamp,
  payload: Nullable(
    Type.String({ description: 'The raw body of the first such redelivery; null when retention removed it' }),
  ),
})
export type Conflict = Static<typeof Conflict>

export const listConflicts = defineRoute({
  method: 'GET',
  url: '/api/v1/conflicts',
  operationId: 'listConflicts',
  summary: 'List redeliveries that contradict the first delivery, latest first',
  description: 'One row for each distinct body, at most 20 for an id.',
  tags: ['Operations'],
  querystring: PageQuery,
  response: { 200: Page(Conflict) },
  errors: ['BAD_REQUEST_ERROR', 'AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})
