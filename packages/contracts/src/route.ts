// A route as a value: spread into the server, walked by the OpenAPI document, called through the typed client.
import type { TSchema } from 'typebox'
import { ErrorBody, type ErrorCode, errorStatus } from './errors.ts'

export interface RouteContract {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Fastify's syntax: `/v1/transactions/:transaction_id`. */
  url: string
  operationId: string
  summary: string
  description?: string
  tags: readonly string[]
  /** Takes Standard Webhooks signatures, and wants them where the deployment has secrets. */
  signed?: true
  params?: TSchema
  querystring?: TSchema
  body?: TSchema
  /** Success answers by status. */
  response: Readonly<Record<number, TSchema>>
  /** What may go wrong, beyond 500, which every route has. */
  errors: readonly ErrorCode[]
}

export const defineRoute = <const R extends RouteContract>(route: R): R => route

const HOW_SIGNED =
  'A Standard Webhooks header (https://www.standardwebhooks.com): all three are needed where `INBOUND_WEBHOOK_SECRET` is set, and none is looked at elsewhere.'

/** The headers of a signature, as security schemes of the OpenAPI document. */
export const signatureHeaders = {
  'webhook-id': `The id of the message. ${HOW_SIGNED}`,
  'webhook-timestamp': `When it was sent, in Unix seconds; within 300 s of now. ${HOW_SIGNED}`,
  'webhook-signature': `\`v1,\` and the base64 of HMAC-SHA256 over \`id.timestamp.body\`, the body's bytes as they are; several are parted by spaces. ${HOW_SIGNED}`,
}

/** All of them or none, in OpenAPI's words: whether they are needed is the deployment's to say. */
const optionallySigned = [Object.fromEntries(Object.keys(signatureHeaders).map((name) => [name, []])), {}]

/** The `schema` option that Fastify takes for a contract: its parts, and the error shape for each of its error statuses. */
export function routeSchema<R extends RouteContract>(route: R): RouteSchema<R> {
  const statuses = new Set([...route.errors.map((code) => errorStatus[code]), errorStatus.INTERNAL_ERROR])
  const errors = Object.fromEntries([...statuses].map((status) => [status, errorAnswer(route, status)]))
  const { operationId, summary, description, tags, signed, params, querystring, body, response } = route
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [...tags],
    ...(signed ? { security: optionallySigned } : {}),
    ...(params === undefined ? {} : { params }),
    ...(querystring === undefined ? {} : { querystring }),
    ...(body === undefined ? {} : { body }),
    response: { ...errors, ...response },
  } as unknown as RouteSchema<R>
}

/** Just the parts that the contract has, so that a handler's types are the contract's. */
export type RouteSchema<R extends RouteContract> = Pick<R, 'operationId' | 'summary' | 'response'> & {
  tags: string[]
} & Pick<R, Extract<keyof R, 'description' | 'params' | 'querystring' | 'body'>>

function errorAnswer(route: RouteContract, status: number) {
  const codes = [...route.errors, 'INTERNAL_ERROR' as const].filter((code) => errorStatus[code] === status)
  return {
    ...ErrorBody,
    description: codes.map((code) => `\`${code}\``).join(', '),
    examples: codes.map((code) => ({
      error: { code, ...errorExample(route, code), request_id: 'kV3xw0Qe-17' },
    })),
  }
}

/** What the API really says, in one case of each code that routes have. */
function errorExample(route: RouteContract, code: ErrorCode): { description: string; field?: string } {
  switch (code) {
    case 'BAD_REQUEST_ERROR': {
      const { properties = {} } = (route.body ?? route.querystring ?? {}) as { properties?: Properties }
      const [field = 'body', schema] = Object.entries(properties)[0] ?? []
      return { description: `${field} must be ${schema?.description}`, field }
    }
    case 'AUTHENTICATION_ERROR':
      return {
        description: route.signed
          ? 'The header webhook-signature must hold a valid v1 signature of these bytes'
          : 'This route needs authentication, which is not configured; it is open only with SANDBOX=true',
      }
    case 'NOT_FOUND_ERROR':
      return {
        description: route.url.includes(':payment_id') ? 'Payment not found' : 'Transaction not found',
      }
    case 'PAYLOAD_TOO_LARGE':
      return { description: 'The body must be at most 1 MiB (1,048,576 bytes)' }
    case 'UNSUPPORTED_MEDIA_TYPE':
      return { description: 'The body must be JSON, sent with Content-Type: application/json' }
    case 'SERVICE_UNAVAILABLE':
      return {
        description:
          route.method === 'POST'
            ? 'The service cannot store this right now; send it again'
            : 'The database does not answer right now; try again',
      }
    default:
      return { description: 'Something went wrong on our side' }
  }
}

type Properties = Record<string, { description?: string }>
