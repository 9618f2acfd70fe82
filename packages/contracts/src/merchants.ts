// Merchants: their profile, the dashboard's login, and its stream of changes.
import { type Static, Type } from 'typebox'
import { Nullable, PlainText, Timestamp } from './fields.ts'
import { PAYMENTS_CHANGED } from './payment-events.ts'
import { defineRoute, SESSION_COOKIE } from './route.ts'

const example = {
  id: '550e8400-e29b-41d4-a716-446655440000',
  name: 'Test Merchant',
  email: 'test@example.com',
} as const

export const MerchantProfile = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    email: Type.String(),
    api_key: Type.String(),
    api_secret: Type.String(),
    webhook_url: Nullable(Type.String()),
    webhook_secret: Nullable(Type.String()),
    is_active: Type.Boolean(),
    created_at: Timestamp,
  },
  {
    description: 'The merchant, with keys and webhook settings',
    examples: [
      {
        ...example,
        api_key: 'key_test_abc123',
        api_secret: 'secret_test_xyz789',
        webhook_url: null,
        webhook_secret: 'whsec_test_abc123',
        is_active: true,
        created_at: '2024-01-15T10:30:00.000Z',
      },
    ],
  },
)
export type MerchantProfile = Static<typeof MerchantProfile>

const tags = ['Merchants']

export const getMerchant = defineRoute({
  method: 'GET',
  url: '/api/v1/merchant',
  operationId: 'getMerchant',
  summary: 'Read your profile, keys and webhook settings',
  tags,
  access: 'merchant',
  response: { 200: MerchantProfile },
  errors: ['AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const streamChanges = defineRoute({
  method: 'GET',
  url: '/api/v1/stream',
  operationId: 'streamChanges',
  summary: 'Receive notice of changed payments, refunds or webhooks (server-sent events)',
  description: `An event \`${PAYMENTS_CHANGED}\` at most once a second, and a comment every 15 s. The event carries no data and may belong to another merchant: read the lists after it.`,
  tags,
  access: 'merchant',
  // A stream, which no schema serialises. The media type is for the OpenAPI document.
  response: {
    200: Type.String({
      contentMediaType: 'text/event-stream',
      description: 'The endless stream',
      examples: [`retry: 2000\n\nevent: ${PAYMENTS_CHANGED}\ndata: \n\n: still here\n\n`],
    }),
  },
  errors: ['AUTHENTICATION_ERROR', 'SERVICE_UNAVAILABLE'],
})

export const SessionRequest = Type.Object(
  {
    email: PlainText(255, 1),
    password: PlainText(1000, 1),
  },
  { examples: [{ email: example.email, password: 'any, in the sandbox' }] },
)
export type SessionRequest = Static<typeof SessionRequest>

export const Session = Type.Object(
  {
    merchant: Type.Object({ id: Type.String(), name: Type.String(), email: Type.String() }),
    expires_at: Timestamp,
  },
  {
    description: 'Logged in; the session is in an HttpOnly cookie',
    examples: [{ merchant: example, expires_at: '2024-01-15T22:30:00.000Z' }],
  },
)
export type Session = Static<typeof Session>

export const createSession = defineRoute({
  method: 'POST',
  url: '/api/v1/session',
  operationId: 'createSession',
  summary: 'Log in to the dashboard',
  description: `Sets the cookie \`${SESSION_COOKIE}\` (HttpOnly, SameSite) for 12 hours. Writes with the cookie also need the dashboard's \`Origin\` header. In the sandbox any password opens the seeded merchant's dashboard.`,
  tags,
  access: 'login',
  rateLimited: true,
  body: SessionRequest,
  response: { 200: Session },
  errors: [
    'BAD_REQUEST_ERROR',
    'AUTHENTICATION_ERROR',
    'FORBIDDEN',
    'RATE_LIMIT_ERROR',
    'SERVICE_UNAVAILABLE',
  ],
})

export const deleteSession = defineRoute({
  method: 'DELETE',
  url: '/api/v1/session',
  operationId: 'deleteSession',
  summary: 'Log out of the dashboard',
  description: 'Ends the session of the cookie, if there is one.',
  tags,
  access: 'login',
  rateLimited: true,
  response: { 204: Type.Null({ description: 'Logged out' }) },
  errors: ['FORBIDDEN', 'RATE_LIMIT_ERROR', 'SERVICE_UNAVAILABLE'],
})
