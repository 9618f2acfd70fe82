// Reads the requested misbehaviour from a receiver's URL, so that users can watch Sluice's retries.

export interface Behaviour {
  /** The response to a verified webhook. */
  status: number
  delayMs: number
  /** The first attempts of each webhook that get `status`; later ones get 200. */
  times: number
}

export const HELP = `POST webhooks to any path: a verified one gets 200, others get 401. To watch retries:
  /fail                   responds 500 to verified ones
  /fail?status=503        responds with another status, from 300 to 599
  /fail?times=2           fails only the first two attempts of each webhook
  /slow?ms=6000           responds 200 after this time; Sluice waits 5 s
`

const DELAY_MS_DEFAULT = 6000
const DELAY_MS_MAX = 600_000

/** Reads the behaviour from a request's path and query; returns a text if they are invalid. */
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
