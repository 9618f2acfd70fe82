// What the payments page reads.
import {
  getExternalPaymentsSummary,
  listExternalPayments,
  listPaymentEvents,
  type PaymentEventRecord,
  totalCount,
} from '@sluice/contracts'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { isClosed, read } from '../api.ts'
import type { Health } from '../live.ts'
import type { StatusChoice, View } from './view.ts'

/** The first part of every key: what live updates read again. */
export const PAYMENTS = 'payments'
export const PAGE_SIZE = 50
const TRAIL_PAGE_SIZE = 200

const statusQuery = (status: StatusChoice) => (status === 'all' ? {} : { status })

export function usePayments({ status, page }: View) {
  return useQuery({
    queryKey: [PAYMENTS, 'list', status, page],
    queryFn: async ({ signal }) => {
      const offset = (page - 1) * PAGE_SIZE
      const query = { ...statusQuery(status), limit: PAGE_SIZE, offset }
      const { body, headers } = await read(listExternalPayments, { query, signal })
      return { payments: body, total: totalCount(headers) ?? offset + body.length }
    },
    placeholderData: keepPreviousData,
  })
}

export function useSummary(status: StatusChoice) {
  return useQuery({
    queryKey: [PAYMENTS, 'summary', status],
    queryFn: async ({ signal }) =>
      (await read(getExternalPaymentsSummary, { query: statusQuery(status), signal })).body,
    placeholderData: keepPreviousData,
  })
}

interface TrailPage {
  events: PaymentEventRecord[]
  total: number
}

/** A payment's events in order of arrival, a page at a time; the pages that were read stay, and are read again together. */
export function useTrail(paymentId: string) {
  return useInfiniteQuery({
    queryKey: [PAYMENTS, 'trail', paymentId],
    queryFn: async ({ pageParam, signal }): Promise<TrailPage> => {
      const query = { limit: TRAIL_PAGE_SIZE, offset: pageParam }
      const params = { payment_id: paymentId }
      const { body, headers } = await read(listPaymentEvents, { params, query, signal })
      return { events: body, total: totalCount(headers) ?? pageParam + body.length }
    },
    initialPageParam: 0,
    getNextPageParam: (last, pages) => {
      const loaded = pages.reduce((sum, { events }) => sum + events.length, 0)
      return last.events.length > 0 && loaded < last.total ? loaded : undefined
    },
  })
}

/**
 * The error that stands until there is data: a query forgets its own while it tries again, and the page would flicker.
 * Data that the API keeps to itself from now on is not shown any more.
 */
export function useStandingError({ data, error }: { data: unknown; error: Error | null }): Error | null {
  const [standing, setStanding] = useState<Error | null>(null)
  const next = data === undefined ? (error ?? standing) : isClosed(error) ? error : null
  if (next !== standing) setStanding(next)
  return next
}

interface Read {
  error: Error | null
  /** Of a try that is tried once more. */
  failureReason: Error | null
  isSuccess: boolean
  isFetching: boolean
}

/** How the last reads went; those under way have nothing to say yet. */
export function useHealth(reads: Read[]): Health {
  const [health, setHealth] = useState<Health>('good')
  const next = healthOf(reads) ?? health
  if (next !== health) setHealth(next)
  return next
}

function healthOf(reads: Read[]): Health | undefined {
  const errors = reads.map(({ error, failureReason }) => error ?? failureReason)
  if (errors.some(isClosed)) return 'refused'
  if (errors.some((error) => error !== null)) return 'failed'
  return reads.every(({ isSuccess, isFetching }) => isSuccess && !isFetching) ? 'good' : undefined
}
