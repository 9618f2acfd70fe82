// The owner lock of a data folder: one live process at a time; a second one gets the first one's owner record.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { AlreadyRunningError, errorCode } from './errors.ts'
import type { Owner } from './owner.ts'
import { isAlive, startMark } from './processes.ts'

export interface Claim {
  readonly owner: Owner
  /** True if a former owner died without releasing: its processes may still be ending. */
  readonly tookOver: boolean
  release(): void
}

const FILE = 'owner.json'

/**
 * Claims `dataDir` for this process.
 * @throws AlreadyRunningError when a live process owns it.
 */
export function claim(dataDir: string, address?: string): Claim {
  const file = path.join(dataDir, FILE)
  const mark = startMark(process.pid)
  const owner: Owner = {
    pid: process.pid,
    since: new Date().toISOString(),
    ...(mark && { startMark: mark }),
    ...(address && { address }),
  }
  const text = `${JSON.stringify(owner)}\n`
  let tookOver = false
  while (!placeIfAbsent(file, text)) {
    const held = read(file)
    if (held === undefined) continue
    const holder = parse(held)
    if (holder && isOwner(holder)) throw new AlreadyRunningError(holder, dataDir)
    removeIfStill(file, held)
    tookOver = true
  }
  return { owner, tookOver, release: () => removeIfStill(file, text) }
}

/** Whether the process of an owner record still runs. */
function isOwner(owner: Owner): boolean {
  if (!isAlive(owner.pid)) return false
  const mark = startMark(owner.pid)
  return !owner.startMark || !mark || mark === owner.startMark
}

/** A hard link appears with its whole content or not at all, so a reader never gets half a record. */
function placeIfAbsent(file: string, text: string): boolean {
  const draft = `${file}.${process.pid}`
  rmSync(draft, { force: true })
  writeFileSync(draft, text, { mode: 0o644, flag: 'wx' })
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Removes the record only if it is unchanged: two starting processes may find the same dead owner at once. */
function removeIfStill(file: string, text: string): void {
  const aside = `${file}.${process.pid}.old`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  const taken = read(aside)
  if (taken !== undefined && taken !== text) placeIfAbsent(file, taken)
  rmSync(aside, { force: true })
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function parse(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Owner
    return Number.isInteger(owner?.pid) && owner.pid > 0 ? owner : undefined
  } catch {
    return undefined
  }
}
