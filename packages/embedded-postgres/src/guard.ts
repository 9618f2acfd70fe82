// The guard: a small shell that stops the server if the process that started it dies without stopping it.
import { spawn } from 'node:child_process'

/**
 * It blocks on a pipe that only this process holds. A word through the pipe ends the guard; the pipe's end without a
 * word means that this process was killed. API and worker notice that too, and end their work in the database. So the
 * guard begins with a smart shutdown (SIGTERM). If that takes too long, a fast shutdown (SIGINT) follows.
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
    detached: true, // the terminal's Ctrl-C and hang-up do not reach it
  })
  shell.on('error', () => {}) // without a shell the server is unguarded; the next start takes it over
  shell.stdin.on('error', () => {})
  shell.unref()
  return { dismiss: () => shell.stdin.end('done\n') }
}
