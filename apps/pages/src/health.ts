// Readiness of the page server: whether the API is up.
import type { Config } from '@sluice/core/platform'

const HEALTH_TIMEOUT_MS = 1000

export async function checkPagesHealth({ apiUrl }: Pick<Config, 'apiUrl'>) {
  const apiLive = `${apiUrl.replace(/\/$/, '')}/live`
  const isConnected = await fetch(apiLive, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) }).then(
    (response) => response.ok,
    () => false,
  )
  return {
    status: isConnected ? ('healthy' as const) : ('unhealthy' as const),
    api: isConnected ? ('connected' as const) : ('disconnected' as const),
    timestamp: new Date().toISOString(),
  }
}
