// A typed fetch client for the contracts, for tests, tools and pages.
import type { Static, TSchema } from 'typebox'
import type { ErrorBody } from './errors.ts'
import type { RouteContract } from './route.ts'

type Input<S> = S extends TSchema ? Static<S> : undefined

export interface CallInput<R extends RouteContract> {
  params?: Input<R['params']>
  query?: Partial<Input<R['querystring']>>
  body?: Input<R['body']>
  headers?: Record<string, string>
  signal?: AbortSignal
}

type Success<R extends RouteContract> = {
  [S in keyof R['response']]: { status: S; body: Static<R['response'][S] & TSchema>; headers: Headers }
}[keyof R['response']]

export type CallResult<R extends RouteContract> =
  | Success<R>
  | { status: 400 | 401 | 403 | 404 | 409 | 413 | 415 | 429 | 500 | 503; body: ErrorBody; headers: Headers }

/**
 * A function that calls any contract at `baseUrl`. A path in `baseUrl` is the prefix below which a proxy serves the API.
 * Ids in paths are percent-encoded. Rejects only when no server responds, or the response is not JSON.
 */
export function createClient(baseUrl: string) {
  const base = baseUrl.replace(/\/+$/, '')
  return async function call<R extends RouteContract>(
    route: R,
    input: CallInput<R> = {},
  ): Promise<CallResult<R>> {
    const params: Record<string, string> = { ...(input.params as object | undefined) }
    const path = route.url.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
    const url = new URL(base + path)
    for (const [name, value] of Object.entries(input.query ?? {})) url.searchParams.set(name, String(value))
    const response = await fetch(url, {
      method: route.method,
      headers: {
        ...(input.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...input.headers,
      },
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
      ...(input.signal === undefined ? {} : { signal: input.signal }),
    })
    return {
      status: response.status,
      body: response.status === 204 ? null : await response.json(),
      headers: response.headers,
    } as CallResult<R>
  }
}

/** The total count from the header of a bare list; undefined without that header. */
export function totalCount(headers: Headers): number | undefined {
  const header = headers.get('x-total-count')
  const count = Number(header)
  return header !== null && Number.isSafeInteger(count) && count >= 0 ? count : undefined
}
