// The view of the payments page, which its address holds: `?status=completed&page=2&payment=pay_1001`.
import { type ExternalPaymentStatus, externalPaymentStatuses } from '@sluice/contracts'
import { useCallback, useEffect, useMemo } from 'react'
import { useLocation } from 'wouter'
// The `useSearch` of wouter's main entry decodes the query twice, which breaks an id such as `50%25`.
import { useHistoryState, useSearch } from 'wouter/use-browser-location'

export type StatusChoice = ExternalPaymentStatus | 'all'

export interface View {
  status: StatusChoice
  /** From 1. */
  page: number
  /** The payment whose trail is open. */
  payment: string | undefined
}

const PATH = '/payments'
const PAGE_MAX = 9_999_999

const isStatus = (text: string | null): text is ExternalPaymentStatus =>
  externalPaymentStatuses.some((status) => status === text)

/** Invalid values in the address are ignored. */
export function parseView(search: string): View {
  const params = new URLSearchParams(search)
  const status = params.get('status')
  const page = Number(params.get('page') ?? 1)
  return {
    status: isStatus(status) ? status : 'all',
    page: Number.isInteger(page) && page >= 1 && page <= PAGE_MAX ? page : 1,
    payment: params.get('payment') ?? undefined,
  }
}

export function viewHref({ status, page, payment }: View): string {
  const params = new URLSearchParams()
  if (status !== 'all') params.set('status', status)
  if (page > 1) params.set('page', String(page))
  if (payment !== undefined) params.set('payment', payment)
  const search = params.toString()
  return search === '' ? PATH : `${PATH}?${search}`
}

/** Whether the address contains no value that `parseView` ignores. */
export function isCanonical(search: string): boolean {
  const given = new URLSearchParams(search)
  const canonical = new URLSearchParams(viewHref(parseView(search)).slice(PATH.length))
  return ['status', 'page'].every((name) => given.get(name) === canonical.get(name))
}

/** The state of the history entry of a trail that was opened from the list. Closing that trail goes back. */
interface OpenedHere {
  openedHere: true
}

export function useView() {
  const search = useSearch()
  const [, navigate] = useLocation()
  const opened = useHistoryState<OpenedHere | null>()
  const view = useMemo(() => parseView(search), [search])

  const show = useCallback(
    (change: Partial<View>, options: { replace?: boolean; state?: OpenedHere } = {}) =>
      navigate(viewHref({ ...view, ...change }), options),
    [navigate, view],
  )
  useEffect(() => {
    if (!isCanonical(search)) show({}, { replace: true, ...(opened?.openedHere && { state: opened }) })
  }, [search, show, opened])
  const openTrail = useCallback(
    (payment: string) => show({ payment }, { state: { openedHere: true } }),
    [show],
  )
  const closeTrail = useCallback(() => {
    if (opened?.openedHere) window.history.back()
    else show({ payment: undefined }, { replace: true })
  }, [opened, show])

  return { view, show, openTrail, closeTrail }
}
