// Requests to a busy machine: a status that means "unknown, send again" is retried, as a careful client does.

/** 503: the server may have done it or not. 409: the first request with this key still runs. */
const isUnknown = ({ status }: { status: unknown }) => status === 503 || status === 409

const RETRY_FOR_MS = 15_000
const PAUSE_MS = 50

/**
 * Sends a request that may be repeated (an inbound event, a read, a request with a key) until the result is known.
 * After 15 s it returns the last response, of any status.
 */
export async function untilKnown<R extends { status: unknown }>(send: () => Promise<R>): Promise<R> {
  const deadline = Date.now() + RETRY_FOR_MS
  for (;;) {
    const response = await send()
    if (!isUnknown(response) || Date.now() > deadline) return response
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/**
 * For tests where the first response matters: repeats the whole attempt, with new ids each time, until all results are
 * known. `attempt` takes the number of attempts before it. After 15 s the last responses are returned.
 */
export async function untilAllKnown<R extends { status: unknown }>(
  attempt: (before: number) => Promise<R[]>,
): Promise<R[]> {
  const deadline = Date.now() + RETRY_FOR_MS
  for (let before = 0; ; before++) {
    const responses = await attempt(before)
    if (!responses.some(isUnknown) || Date.now() > deadline) return responses
  }
}
