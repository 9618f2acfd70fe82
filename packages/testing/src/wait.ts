// Waiting for a condition, never for a time.

/** Polls until `check` answers something truthy, and answers it. Errors count as "not yet"; the last one is told at the end. */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T> | T,
  { timeoutMs = 15_000, intervalMs = 50 }: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  let last: unknown = 'it never held'
  for (;;) {
    try {
      const result = await check()
      if (result) return result as NonNullable<T>
      last = `the last answer was ${JSON.stringify(result)}`
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for: ${what}`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
