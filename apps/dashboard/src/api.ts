// The pages' client of the API: same-origin requests below one prefix; errors are thrown as `ApiError`.
import {
  type CallInput,
  type CallResult,
  createClient,
  type ErrorBody,
  type RouteContract,
} from '@sluice/contracts'

/** The page server proxies paths with this prefix to the API. */
export const API_PREFIX = '/_api'

const FALLBACK_API_URL = 'http://127.0.0.1:8000'

/** A failure with a message that the page shows. */
export class ApiError extends Error {
  /** The status of the response; undefined when there was none. */
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

/** The API refuses reads outside the sandbox; a retry gets the same response. */
export const isClosed = (error: Error | null): error is ApiError =>
  error instanceof ApiError && error.status === 401

type OkResult<R extends RouteContract> = Extract<CallResult<R>, { status: 200 }>

/** Without this limit, a connection that dies silently would block this fetch and every later one. */
const RESPONSE_TIMEOUT_MS = 10_000

const call = createClient(new URL(API_PREFIX, window.location.origin).href)

/** Returns the route's 200 response, or throws an `ApiError`. Aborted requests reject with the abort. */
export async function read<R extends RouteContract>(route: R, input: CallInput<R>): Promise<OkResult<R>> {
  let result: CallResult<R>
  try {
    const timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS)
    const signal = input.signal === undefined ? timeout : AbortSignal.any([input.signal, timeout])
    result = await call(route, { ...input, signal })
  } catch (error) {
    if (input.signal?.aborted) throw error
    throw new ApiError(
      'The server did not respond. It may be starting, or the network is down.',
      undefined,
      '',
    )
  }
  if (result.status === 200) return result as OkResult<R>
  const status = Number(result.status)
  // The response may come from a proxy instead of the API, so every field of the error is optional.
  const { error } = (result.body ?? {}) as Partial<ErrorBody>
  throw new ApiError(
    error?.description ?? `The server returned status ${status}.`,
    status,
    error?.code ?? '',
    error?.request_id,
  )
}

/** The URL at which processors reach the API, for examples. The page server writes it into the page. */
export function publicApiUrl(): string {
  const content = document.querySelector<HTMLMetaElement>('meta[name="sluice-api-url"]')?.content ?? ''
  return /^https?:\/\//.test(content) ? content.replace(/\/+$/, '') : FALLBACK_API_URL
}
