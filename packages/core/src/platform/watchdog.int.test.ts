// The watchdog ends a process whose event loop stands still, and no other.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, type TestContext, test } from 'vitest'

const LIMIT_MS = 1000

/** The built watchdog in a process of its own, which reports when it runs and then does its work. */
async function startWatched({ onTestFinished }: TestContext, work: string, args: string[] = []) {
  const watchdog = path.resolve(import.meta.dirname, '../../dist/platform/watchdog.js')
  const program = `
    const { startWatchdog } = await import(${JSON.stringify(watchdog)})
    startWatchdog({ limitMs: ${LIMIT_MS} })
    process.send('started', () => { ${work} })`
  const child = spawn(process.execPath, [...args, '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr!.on('data', (part) => {
    errors += part
  })
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal, errors }))
  await once(child, 'message')
  return { child, exited }
}

const spin = 'const turn = () => Promise.resolve().then(turn); turn()'
/** Runs until it receives a message. */
const idle = "process.once('message', () => process.disconnect())"

/** A module that gives the process the number of a container's first process. */
const processOne = "data:text/javascript,Object.defineProperty(process,'pid',{value:1})"

const isAlive = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null

test.concurrent('a process that spins in microtasks is ended, with one line that gives the reason', async (context) => {
  const { exited } = await startWatched(context, spin)
  const { signal, errors } = await exited
  expect(signal).toBe('SIGKILL')
  expect(errors.trim().split('\n')).toHaveLength(1)
  expect(JSON.parse(errors)).toMatchObject({
    level: 'fatal',
    pid: expect.any(Number),
    msg: expect.stringContaining('the event loop stood still for 1 s'),
  })
})

test.concurrent('a process that is stopped for longer than the limit goes on afterwards', async (context) => {
  const { child, exited } = await startWatched(context, idle)
  child.kill('SIGSTOP')
  await pause(1.5 * LIMIT_MS)
  child.kill('SIGCONT')
  await pause(LIMIT_MS)
  expect(isAlive(child)).toBe(true)
  child.send('end')
  expect(await exited).toEqual({ code: 0, signal: null, errors: '' })
})

test.concurrent('a process under a debugger may stand still', async (context) => {
  const { child } = await startWatched(context, `setTimeout(() => { ${spin} }, 300)`, [
    '--inspect=127.0.0.1:0',
  ])
  await pause(3 * LIMIT_MS)
  expect(isAlive(child)).toBe(true)
})

test.concurrent('it holds no process open', async (context) => {
  const { exited } = await startWatched(context, 'process.disconnect()')
  expect(await exited).toEqual({ code: 0, signal: null, errors: '' })
})

test.concurrent('a process whose watchdog cannot start runs without it', async (context) => {
  // Node's permission model refuses the thread.
  const { exited } = await startWatched(context, 'process.disconnect()', [
    '--experimental-permission',
    '--allow-fs-read=*',
  ])
  const { code, errors } = await exited
  expect(code).toBe(0)
  expect(errors).toContain('the watchdog failed; the process runs without it')
})

test.concurrent('process 1 warns that its container needs an init', async (context) => {
  const { exited } = await startWatched(context, 'process.disconnect()', ['--import', processOne])
  const { code, errors } = await exited
  expect(code).toBe(0)
  expect(errors.match(/run the container with an init/g)).toHaveLength(1)
})
