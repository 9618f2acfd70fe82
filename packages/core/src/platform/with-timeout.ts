// A client-side time limit for any promise: a frozen server sends no error, so only a timer of our own helps.

/**
 * Settles as `work` does when that settles in time; otherwise rejects with what `errorOf` makes of the timeout.
 * The work itself goes on; its later result or error is discarded.
 */
export function withTimeout<T>(
  timeoutMs: number,
  work: Promise<T>,
  errorOf: (timeout: Error) => Error = (timeout) => timeout,
): Promise<T> {
  let timer: NodeJS.Timeout
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(errorOf(new Error(`no response within ${timeoutMs} ms`))), timeoutMs)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
