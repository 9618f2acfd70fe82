// Live progress: one line that updates itself on a terminal, a line every second elsewhere.

const ON_TERMINAL_EVERY_MS = 200
const ELSEWHERE_EVERY_MS = 1000

/** Shows the text of `describe` until `end`, which shows it a last time. */
export function progressLine(describe: () => string): { end(): void } {
  const { isTTY } = process.stdout
  const startedAt = Date.now()
  const show = () => {
    const line = `${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${describe()}`
    // Cut to the terminal's width: the next line cannot overwrite a line that wraps.
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
