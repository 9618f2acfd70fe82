// The launcher's own output lines; its child processes write to the same terminal themselves.
export type Print = (line: string) => void

export const print: Print = (line) => console.log(line)

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** A closed terminal (EIO) or pipe (EPIPE) must not end the launcher before it has ended its processes. */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}
