// The API as the pages see it: below a prefix of their own origin, its errors thrown as `ApiError`s.
import {
  type CallInput,
  type CallResult,
  createClient,
  type ErrorBody,
  type RouteContract,
} from '@sluice/contracts'

/** What the page server proxies to the API. */
export const API_PREFIX = '/_api'

const FALLBACK_API_URL = 'http://127.0.0.1:8000'

/** A failure that people can be told about. */
export class ApiError extends Error {
  /** The answer's status; undefined when nothing answered. */
  readonly status: number | undefined
  readonly code: string
  readonly requestId: string | undefined

  constructor(description: string, status: number | undefined, code: string, requestId?: string) {
    super(description)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.requestId = requestId
  }
}

/** What the API answers outside its sandbox: asking again changes nothing. */
export const isClosed = (error: Error | null): error is ApiError =>
  error instanceof ApiError && error.status === 401

type Answer<R extends RouteContract> = Extract<CallResult<R>, { status: 200 }>

/** A connection that died without a word would keep the page waiting, and every later fetch behind it. */
const RESPONSE_TIMEOUT_MS = 10_000

const call = createClient(new URL(API_PREFIX, window.location.origin).href)

/** The route's 200, or an `ApiError`. Aborted requests reject with the abort. */
export async function read<R extends RouteContract>(route: R, input: CallInput<R>): Promise<Answer<R>> {
  let result: CallResult<R>
  try {
    const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS)
    const signal = input.signal === undefined ? timeout : AbortSignal.any([input.signal, timeout])
    result = await call(route, { ...input, signal })
  } catch (error) {
    if (input.signal?.aborted) throw error
    throw new ApiError(
      'The server did not answer. It may be starting, or the network is down.',
      undefined,
      '',
    )
  }
  if (result.status === 200) return result as Answer<R>
  const status = Number(result.status)
  // Whatever answered may not have been the API, so nothing is taken for granted.
  const { error } = (result.body ?? {}) as Partial<ErrorBody>
  throw new ApiError(
    error?.description ?? `The server answered ${status}.`,
    status,
    error?.code ?? '',
    error?.request_id,
  )
}

/** Where processors reach the API, for examples; the page server writes it into the page. */
export function publicApiUrl(): string {
  const content = document.querySelector<HTMLMetaElement>('meta[name="sluice-api-url"]')?.content ?? ''
  return /^https?:\/\//.test(content) ? content.replace(/\/+$/, '') : FALLBACK_API_URL
}
