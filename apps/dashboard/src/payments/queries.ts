// The queries of the payments page.
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
import type { ReadHealth } from '../live.ts'
import type { StatusChoice, View } from './view.ts'

/** The first part of every query key. Live updates read all queries with it again. */
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

/** A payment's events in order of arrival, page by page. An update reads all loaded pages again. */
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
 * The error to show until there is data. A query clears its own error during a retry, and the page would flicker.
 * Once the API refuses a read, this returns the refusal even if there is older data.
 */
export function useStandingError({ data, error }: { data: unknown; error: Error | null }): Error | null {
  const [standing, setStanding] = useState<Error | null>(null)
  const next = data === undefined ? (error ?? standing) : isClosed(error) ? error : null
  if (next !== standing) setStanding(next)
  return next
}

interface ReadResult {
  error: Error | null
  /** The error of a read that is about to be retried. */
  failureReason: Error | null
  isSuccess: boolean
  isFetching: boolean
}

/** The health of the last reads. Reads in progress don't change it. */
export function useReadHealth(reads: ReadResult[]): ReadHealth {
  const [health, setHealth] = useState<ReadHealth>('good')
  const next = healthOf(reads) ?? health
  if (next !== health) setHealth(next)
  return next
}

function healthOf(reads: ReadResult[]): ReadHealth | undefined {
  const errors = reads.map(({ error, failureReason }) => error ?? failureReason)
  if (errors.some(isClosed)) return 'refused'
  if (errors.some((error) => error !== null)) return 'failed'
  return reads.every(({ isSuccess, isFetching }) => isSuccess && !isFetching) ? 'good' : undefined
}
