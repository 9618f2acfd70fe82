// Ids of requests and processes.
import { randomBytes } from 'node:crypto'

/**
 * Makes request ids that are unique across processes and cheap: a random prefix for the process, then a counter.
 * They follow a delivery into its row, its job and its logs.
 */
export function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${prefix}-${++count}`
}

export const processId = () => randomBytes(9).toString('base64url')
