// Helpers of the endpoint scheduler's tests: leases, ended attempts and wake-ups without a database.
import type { LeasedAttempt, Quota } from './attempt-leases.ts'
import type { EndpointHealth } from './endpoint-limit.ts'
import { createEndpointScheduler, type EndpointScheduler } from './endpoint-scheduler.ts'

/** A leased attempt, with the fields that the scheduler reads. */
const attempt = (merchantId: string, isRetry: boolean) => ({ merchantId, isRetry }) as LeasedAttempt

/** Leases whole quotas, or what is due by `due`. */
export function lease(
  scheduler: EndpointScheduler,
  due: (quota: Quota) => number = ({ count }) => count,
): LeasedAttempt[] {
  const quotas = scheduler.quotas()
  scheduler.begin(quotas)
  const attempts = quotas.flatMap((quota) =>
    Array.from({ length: Math.min(due(quota), quota.count) }, () => attempt(quota.merchantId, quota.isRetry)),
  )
  scheduler.leased(quotas, attempts)
  return attempts
}

export const end = (
  scheduler: EndpointScheduler,
  attempts: readonly LeasedAttempt[],
  health: EndpointHealth = 'fast',
) => {
  for (const { merchantId, isRetry } of attempts) scheduler.ended(merchantId, isRetry, health)
}
/** A scheduler that has one fast response of each endpoint. */
export const withFastEndpoints = (merchants: readonly string[]): EndpointScheduler => {
  const scheduler = createEndpointScheduler()
  for (const merchant of merchants) {
    first(scheduler, merchant)
    end(
      scheduler,
      lease(scheduler, () => 1),
    )
  }
  return scheduler
}
export const onlyFirst = ({ isRetry, count }: Quota) => (isRetry ? 0 : count)
export const onlyRetries = ({ isRetry, count }: Quota) => (isRetry ? count : 0)
export const total = (quotas: readonly Quota[]) => quotas.reduce((sum, { count }) => sum + count, 0)
export const names = (count: number) => Array.from({ length: count }, (_, at) => `m${at}`)
export const first = (scheduler: EndpointScheduler, ...merchants: string[]) => {
  for (const merchant of merchants) scheduler.wakeUp(merchant, false)
}
/** For both kinds of attempts. */
export const wakeAll = (scheduler: EndpointScheduler, merchants: readonly string[]) => {
  for (const merchant of merchants) {
    scheduler.wakeUp(merchant, false)
    scheduler.wakeUp(merchant, true)
  }
}
