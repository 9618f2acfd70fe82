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
  params?: TSchema
  querystring?: TSchema
  body?: TSchema
  /** Success answers by status. */
  response: Readonly<Record<number, TSchema>>
  /** What may go wrong, beyond 500, which every route has. */
  errors: readonly ErrorCode[]
}

export const defineRoute = <const R extends RouteContract>(route: R): R => route

/** The `schema` option that Fastify takes for a contract: its parts, and the error shape for each of its error statuses. */
export function routeSchema<R extends RouteContract>(route: R): RouteSchema<R> {
  const statuses = new Set([...route.errors.map((code) => errorStatus[code]), errorStatus.INTERNAL_ERROR])
  const errors = Object.fromEntries([...statuses].map((status) => [status, errorAnswer(route, status)]))
  const { operationId, summary, description, tags, params, querystring, body, response } = route
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [...tags],
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
  return { ...ErrorBody, description: codes.map((code) => `\`${code}\``).join(', ') }
}
