// How the pages read: who polls is decided in one place (live.ts), so that nothing else fetches on its own.
import { QueryClient } from '@tanstack/react-query'
import { ApiError } from './api.ts'

const RETRY_DELAY_MS = 500

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A server on this machine answers without a network, too.
      networkMode: 'always',
      refetchOnWindowFocus: false,
      // One more try for what may be a restart; what the API refuses, it refuses again.
      retry: (failures, error) =>
        failures < 1 && (!(error instanceof ApiError) || (error.status ?? 500) >= 500),
      retryDelay: RETRY_DELAY_MS,
    },
  },
})
