// The guard: a tiny shell that stops the server when the process that started it is gone without having done so.
import { spawn } from 'node:child_process'

/**
 * It blocks on a pipe that only we hold. A word through it means "all is well, go away"; its end without one means that
 * we were killed. Then: smart shutdown (SIGTERM) first, since API and worker, which notice our death too, are still
 * finishing their work in the database; fast shutdown (SIGINT) when that takes too long.
 */
const SCRIPT = `
read -r word && exit 0
kill -TERM "$1"
seconds=0
while kill -0 "$1"; do
  [ "$seconds" -eq "$2" ] && kill -INT "$1"
  [ "$seconds" -eq 60 ] && exit 1
  seconds=$((seconds + 1))
  sleep 1
done`

export interface Guard {
  dismiss(): void
}

export function startGuard(serverPid: number, smartShutdownSeconds = 12): Guard {
  const args = ['-c', SCRIPT, 'sluice-postgres-guard', String(serverPid), String(smartShutdownSeconds)]
  const shell = spawn('/bin/sh', args, {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // out of reach of the terminal's Ctrl-C and hang-up
  })
  shell.on('error', () => {}) // without a shell the server is merely unguarded; the next start takes it over
  shell.stdin.on('error', () => {})
  shell.unref()
  return { dismiss: () => shell.stdin.end('done\n') }
}
