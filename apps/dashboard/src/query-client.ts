// The query client of the pages: live.ts alone decides when to fetch again, so automatic refetches are off.
import { QueryClient } from '@tanstack/react-query'
import { ApiError } from './api.ts'

const RETRY_DELAY_MS = 500

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A server on this machine is reachable without a network too.
      networkMode: 'always',
      refetchOnWindowFocus: false,
      // One retry covers a restart of the server. A 4xx response stays the same, so it gets none.
      retry: (failures, error) =>
        failures < 1 && (!(error instanceof ApiError) || (error.status ?? 500) >= 500),
      retryDelay: RETRY_DELAY_MS,
    },
  },
})
