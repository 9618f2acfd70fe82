// Answers of a busy machine: 503 says "unknown, send again", and what a careful client makes of that.

/** 503: nobody knows whether it was done. 409: the first request with this key still runs. */
const isUnknown = ({ status }: { status: unknown }) => status === 503 || status === 409

const PATIENCE_MS = 15_000
const PAUSE_MS = 50

/**
 * Sends what may be sent twice (a delivery, a read, a request with a key) until its answer is no such one; after 15 s
 * that is the answer.
 */
export async function untilKnown<A extends { status: unknown }>(send: () => Promise<A>): Promise<A> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await send()
    if (!isUnknown(answer) || Date.now() > deadline) return answer
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/**
 * Where it matters which answer was the first: does all of it again, on something new each time, until no answer was
 * "unknown". `attempt` is told how often it was done before; after 15 s its answers are what they are.
 */
export async function untilAllKnown<A extends { status: unknown }>(
  attempt: (before: number) => Promise<A[]>,
): Promise<A[]> {
  const deadline = Date.now() + PATIENCE_MS
  for (let before = 0; ; before++) {
    const answers = await attempt(before)
    if (!answers.some(isUnknown) || Date.now() > deadline) return answers
  }
}
