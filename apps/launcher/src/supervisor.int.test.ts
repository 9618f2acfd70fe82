// The supervisor with the real watchdog: a child whose event loop stands still is replaced.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { waitFor } from '@sluice/testing'
import { expect, onTestFinished, test } from 'vitest'
import { supervise } from './supervisor.ts'

const watchdog = path.resolve(import.meta.dirname, '../../../packages/core/dist/platform/watchdog.js')

test('a child whose event loop stands still is started again', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-supervisor-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  // The child appends to a file at each start. The first child ends in a loop of microtasks.
  writeFileSync(
    path.join(folder, 'child.mjs'),
    `import { appendFileSync, readFileSync } from 'node:fs'
    import { startWatchdog } from ${JSON.stringify(watchdog)}
    startWatchdog({ limitMs: 1000 })
    appendFileSync('starts', 'x')
    process.on('disconnect', () => process.exit(0))
    process.on('SIGTERM', () => process.exit(0))
    process.send({ type: 'ready' })
    const turn = () => Promise.resolve().then(turn)
    if (readFileSync('starts', 'utf8') === 'x') setTimeout(turn, 100)`,
  )
  const lines: string[] = []
  const app = supervise({ name: 'worker', script: 'child.mjs', env: {} }, folder, (line) => lines.push(line))
  await app.ready
  await waitFor('the second start', () => readStarts(folder) === 'xx')
  expect(lines).toEqual(['The worker was ended by SIGKILL; starting it again in 0.2 s.'])
  await app.stop(new AbortController().signal)
  expect(readStarts(folder)).toBe('xx')
})

const readStarts = (folder: string) => readFileSync(path.join(folder, 'starts'), 'utf8')
