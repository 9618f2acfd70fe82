// A lock file: one set-up at a time in a clone, because `npm start` and `npm test` both install and build.
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Stopped } from './process.mjs'

const HEARTBEAT_MS = 2000
const SILENT_MS = 30_000

/**
 * Runs `work` while holding the lock file. The holder touches the file every two seconds, so neither a killed holder nor
 * another process with its recycled pid blocks the next one. `work` gets a function that records the pid of the program
 * it runs. A package manager that outlives its killed parent still writes into node_modules, so the next holder waits.
 * @template T
 * @param {string} file
 * @param {{ stop?: AbortSignal, waiting: () => void }} options
 * @param {(names: (pid: number | undefined) => void) => Promise<T>} work
 */
export async function withLock(file, { stop, waiting }, work) {
  let announced = false
  while (!take(file)) {
    if (stop?.aborted) throw new Stopped()
    if (isStale(file)) discard(file)
    else {
      if (!announced) waiting()
      announced = true
      await sleep(200)
    }
  }
  const beat = setInterval(() => touch(file), HEARTBEAT_MS)
  try {
    return await work((pid) => writeFileSync(file, record(pid)))
  } finally {
    clearInterval(beat)
    rmSync(file, { force: true })
  }
}

const record = (programPid) => JSON.stringify({ pid: process.pid, programPid })

/** A hard link appears with its content or not at all. */
function take(file) {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, record())
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function isStale(file) {
  try {
    const { mtimeMs } = statSync(file)
    const { pid, programPid } = JSON.parse(readFileSync(file, 'utf8'))
    if (isAlive(pid) && Date.now() - mtimeMs < SILENT_MS) return false
    return !(programPid && isAlive(programPid) && Date.now() - mtimeMs < 2 * SILENT_MS)
  } catch (error) {
    return error instanceof SyntaxError
  }
}

/** Renamed first: of two that find the same stale file, only one may remove it. */
function discard(file) {
  const aside = `${file}.${process.pid}.old`
  try {
    renameSync(file, aside)
    rmSync(aside, { force: true })
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
}

function touch(file) {
  try {
    utimesSync(file, new Date(), new Date())
  } catch {
    // The file was removed. This work goes on; a process that finds its result does not repeat it.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
