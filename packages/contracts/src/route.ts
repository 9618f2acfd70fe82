// A route as a value, for the server, the OpenAPI document and the typed client.
import { type TSchema, Type } from 'typebox'
import { ErrorBody, type ErrorCode, errorStatus } from './errors.ts'
import { cardProblem, expiryProblem, type MethodProblem, vpaProblem } from './payment-methods.ts'

/** The cookie of a dashboard session. Scripts cannot read it. */
export const SESSION_COOKIE = 'sluice_session'

export interface RouteContract {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Fastify's syntax: `/v1/transactions/:transaction_id`. */
  url: string
  operationId: string
  summary: string
  description?: string
  tags: readonly string[]
  /** Accepts Standard Webhooks signatures, and requires them when the deployment has secrets. */
  signed?: true
  /**
   * `merchant`: needs a merchant's keys or dashboard session. `sandbox`: the same, except in the sandbox, where it is
   * open. `login`: open, except to pages of other origins.
   */
  access?: 'merchant' | 'sandbox' | 'login'
  /** Accepts an Idempotency-Key. */
  idempotent?: true
  /** Counts towards the rate limit of the caller's address. */
  rateLimited?: true
  params?: TSchema
  querystring?: TSchema
  body?: TSchema
  /** Success responses by status. */
  response: Readonly<Record<number, TSchema>>
  /** Possible errors, in addition to those of all routes of its kind (`impliedErrors`). */
  errors: readonly ErrorCode[]
  /** Error texts that differ from those of other routes. */
  errorExamples?: Partial<Record<ErrorCode, { description: string; field?: string }>>
}

export const defineRoute = <const R extends RouteContract>(route: R): R => route

const HOW_SIGNED =
  'A Standard Webhooks header (https://www.standardwebhooks.com). All three are required when `INBOUND_WEBHOOK_SECRET` is set, and ignored otherwise.'

/** The headers of an inbound signature, as security schemes of the OpenAPI document. */
export const inboundSignatureHeaders = {
  'webhook-id': `The id of the message. ${HOW_SIGNED}`,
  'webhook-timestamp': `When it was sent, in Unix seconds; within 300 s of now. ${HOW_SIGNED}`,
  'webhook-signature': `\`v1,\` and the base64 of HMAC-SHA256 over \`id.timestamp.body\`, with the unchanged bytes of the body. Spaces separate several signatures. ${HOW_SIGNED}`,
}

/** Merchant authentication as security schemes of the OpenAPI document: both headers, or the session cookie. */
export const merchantSchemes = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: "The merchant's API key" },
  apiSecret: { type: 'apiKey', in: 'header', name: 'X-Api-Secret', description: 'The secret of that key' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: SESSION_COOKIE,
    description: "The dashboard's session; writes with it also need the dashboard's `Origin`",
  },
} as const

const merchantSecurity = [{ apiKey: [], apiSecret: [] }, { session: [] }]

const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{0,255}$',
      description: 'a text of 1 to 255 visible ASCII characters',
    }),
  ),
})

/** All headers or none, as OpenAPI alternatives. The deployment decides whether they are required. */
const optionallySigned = [
  Object.fromEntries(Object.keys(inboundSignatureHeaders).map((name) => [name, []])),
  {},
]

/** Fastify's `schema` option for a contract, with the error body for each of its error statuses. */
export function routeSchema<R extends RouteContract>(route: R): RouteSchema<R> {
  const statuses = new Set(errorsOf(route).map((code) => errorStatus[code]))
  const errors = Object.fromEntries([...statuses].map((status) => [status, errorResponse(route, status)]))
  const { operationId, summary, description, tags, params, querystring, body, response } = route
  const security = securityOf(route)
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [...tags],
    ...(security === undefined ? {} : { security }),
    ...(route.idempotent ? { headers: IdempotencyHeaders } : {}),
    ...(params === undefined ? {} : { params }),
    ...(querystring === undefined ? {} : { querystring }),
    ...(body === undefined ? {} : { body }),
    response: { ...errors, ...response },
  } as unknown as RouteSchema<R>
}

/** The parts that the contract has, so that a handler gets the contract's types. */
export type RouteSchema<R extends RouteContract> = Pick<R, 'operationId' | 'summary' | 'response'> & {
  tags: string[]
} & Pick<R, Extract<keyof R, 'description' | 'params' | 'querystring' | 'body'>>

function securityOf({ signed, access }: RouteContract) {
  if (signed) return optionallySigned
  if (access === undefined || access === 'login') return undefined
  return access === 'merchant' ? merchantSecurity : [...merchantSecurity, {}]
}

const errorsOf = (route: RouteContract): ErrorCode[] => [
  ...new Set([...route.errors, ...impliedErrors(route)]),
]

/** A path may be undecodable, and a request may have an unexpected body. */
function impliedErrors({ method, params }: RouteContract): ErrorCode[] {
  if (method === 'GET')
    return [...(params === undefined ? [] : ['BAD_REQUEST_ERROR' as const]), 'INTERNAL_ERROR']
  return ['BAD_REQUEST_ERROR', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'INTERNAL_ERROR']
}

function errorResponse(route: RouteContract, status: number) {
  const codes = errorsOf(route).filter((code) => errorStatus[code] === status)
  return {
    ...ErrorBody,
    description: codes.map((code) => `\`${code}\``).join(', '),
    examples: codes.map((code) => ({
      error: { code, ...errorExample(route, code), request_id: 'kV3xw0Qe-17' },
    })),
  }
}

/** One real error text of the API for each code. */
function errorExample(route: RouteContract, code: ErrorCode): { description: string; field?: string } {
  const own = route.errorExamples?.[code]
  if (own !== undefined) return own
  switch (code) {
    case 'BAD_REQUEST_ERROR': {
      const { properties = {} } = (route.body ?? route.querystring ?? {}) as { properties?: Properties }
      const [field, schema] = Object.entries(properties)[0] ?? []
      if (field === undefined) {
        return {
          description:
            route.method === 'GET'
              ? 'The path is not valid: ids in paths must be percent-encoded UTF-8'
              : 'The body must be valid JSON',
        }
      }
      return { description: `${field} must be ${(schema?.anyOf?.[0] ?? schema)?.description}`, field }
    }
    case 'INVALID_VPA':
      return problemExample(vpaProblem(''))
    case 'INVALID_CARD':
      return problemExample(cardProblem({ ...validCard, number: '4111111111111112' }))
    case 'EXPIRED_CARD':
      return problemExample(expiryProblem({ expiry_month: '1', expiry_year: '2020' }, new Date()))
    case 'AUTHENTICATION_ERROR':
      return {
        description: route.signed
          ? 'The header webhook-signature must hold a valid v1 signature of these bytes'
          : route.access === 'login'
            ? 'The e-mail or the password is wrong'
            : 'Invalid API credentials',
      }
    case 'FORBIDDEN':
      return { description: "The Origin header must be the dashboard's" }
    case 'NOT_FOUND_ERROR':
      return { description: `${whatIsNotFound(route)} not found` }
    case 'CONFLICT_ERROR':
      return { description: 'The first request with this Idempotency-Key is still running' }
    case 'RATE_LIMIT_ERROR':
      return { description: 'Too many requests from this address: at most 600 a minute; try again in 30 s' }
    case 'PAYLOAD_TOO_LARGE':
      return { description: 'The body must be at most 1 MiB (1,048,576 bytes)' }
    case 'UNSUPPORTED_MEDIA_TYPE':
      return { description: 'The body must be JSON, sent with Content-Type: application/json' }
    case 'SERVICE_UNAVAILABLE':
      return {
        description:
          route.method === 'POST'
            ? 'The service cannot store this right now; send it again'
            : 'The database does not respond right now; try again',
      }
    default:
      return { description: 'Something went wrong on our side' }
  }
}

const validCard = {
  number: '4111111111111111',
  expiry_month: '12',
  expiry_year: '2099',
  cvv: '123',
  holder_name: 'J',
}

const problemExample = (problem: MethodProblem | undefined) => ({
  description: problem?.description ?? '',
  ...(problem === undefined ? {} : { field: problem.field }),
})

const whatIsNotFound = ({ url, body }: RouteContract) => {
  if (url.includes(':transaction_id')) return 'Transaction'
  if (url.includes(':refund_id')) return 'Refund'
  if (url.includes(':webhook_id')) return 'Webhook'
  if (url.includes(':payment_id')) return 'Payment'
  return url.includes(':order_id') || body !== undefined ? 'Order' : 'Merchant'
}

type Properties = Record<string, { description?: string; anyOf?: Array<{ description?: string }> }>
