// How the receiver misbehaves when its URL asks for it, so that one can watch what Sluice does then.

export interface Behaviour {
  /** The answer to a webhook that was verified. */
  status: number
  delayMs: number
  /** Of each webhook so many attempts are answered with `status`, those after them with 200. */
  times: number
}

export const HELP = `POST webhooks to any path; verified ones are answered 200, others 401. To watch retries:
  /fail                   answers 500 to verified ones
  /fail?status=503        or something else, 300 to 599
  /fail?times=2           the first two attempts of each webhook only
  /slow?ms=6000           answers 200 after so long; Sluice waits 5 s
`

const DELAY_MS_DEFAULT = 6000
const DELAY_MS_MAX = 600_000

/** From the path and query of a request; a text says what is wrong with them. */
export function behaviourOf(url: string): Behaviour | string {
  const { pathname, searchParams } = new URL(url, 'http://receiver')
  const read = (name: string, fallback: number, min: number, max: number) => {
    const text = searchParams.get(name)
    if (text === null) return fallback
    const value = Number(text)
    return /^\d{1,9}$/.test(text) && value >= min && value <= max ? value : undefined
  }
  if (pathname === '/fail') {
    const status = read('status', 500, 300, 599)
    if (status === undefined) return 'status must be an integer from 300 to 599'
    const times = read('times', Number.POSITIVE_INFINITY, 0, 999_999_999)
    if (times === undefined) return 'times must be an integer from 0 to 999999999'
    return { status, delayMs: 0, times }
  }
  if (pathname === '/slow') {
    const delayMs = read('ms', DELAY_MS_DEFAULT, 0, DELAY_MS_MAX)
    if (delayMs === undefined) return `ms must be an integer from 0 to ${DELAY_MS_MAX}`
    return { status: 200, delayMs, times: 0 }
  }
  return { status: 200, delayMs: 0, times: 0 }
}
