// Waits for a condition, never for a fixed time.

/** Polls until `check` returns a truthy value, and returns it. Errors count as "not yet"; the last one becomes the cause. */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T> | T,
  { timeoutMs = 15_000, intervalMs = 50 }: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  let last: unknown = 'the condition never held'
  for (;;) {
    try {
      const result = await check()
      if (result) return result as NonNullable<T>
      last = `the last result was ${JSON.stringify(result)}`
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
