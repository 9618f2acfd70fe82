// Live progress: one line that updates itself on a terminal, a line now and then everywhere else.

const ON_TERMINAL_EVERY_MS = 200
const ELSEWHERE_EVERY_MS = 1000

/** Shows what `describe` says until `end`, which leaves the last state standing. */
export function progressLine(describe: () => string): { end(): void } {
  const { isTTY } = process.stdout
  const startedAt = Date.now()
  const show = () => {
    const line = `${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${describe()}`
    // Cut to the terminal's width: a line that wraps can't be written over.
    process.stdout.write(isTTY ? `\r\x1b[K${line.slice(0, (process.stdout.columns || 80) - 1)}` : `${line}\n`)
  }
  const timer = setInterval(show, isTTY ? ON_TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS)
  return {
    end() {
      clearInterval(timer)
      show()
      if (isTTY) process.stdout.write('\n')
    },
  }
}
