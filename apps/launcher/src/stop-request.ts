// The launcher's signals: the first one stops it in order, a later one stops it at once.

export interface StopRequest {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  stop: AbortSignal
  /** Aborted by a later one: the launcher no longer waits for graceful ends. */
  force: AbortSignal
}

/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. */
const SAME_KEYSTROKE_MS = 1000

export function listenForStop(): StopRequest {
  const stop = new AbortController()
  const force = new AbortController()
  let firstAt = 0
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstAt = Date.now()
      stop.abort()
    } else if (Date.now() - firstAt > SAME_KEYSTROKE_MS) force.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  return { stop: stop.signal, force: force.signal }
}

/** Resolves when the signal is aborted, at once if it is already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves after `ms`, or earlier when one of the signals is aborted. */
export function pause(ms: number, ...signals: AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const wake = () => {
      clearTimeout(timer)
      resolve()
    }
    for (const signal of signals) {
      if (signal.aborted) wake()
      else signal.addEventListener('abort', wake, { once: true })
    }
  })
}
