// The owner lock: one live owner, which the error for a second one names; dead owners and recycled pids don't count.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claim } from './claim.ts'
import { AlreadyRunningError } from './errors.ts'
import type { Owner } from './owner.ts'
import { startMark } from './processes.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-claim-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const leaveOwner = (owner: Partial<Owner> | string) =>
  writeFileSync(path.join(folder, 'owner.json'), typeof owner === 'string' ? owner : JSON.stringify(owner))

/** Above any system's largest pid. */
const DEAD_PID = 2 ** 30

test('a second claim fails with one line that names the owner, its address and its start', () => {
  const { owner } = claim(folder, 'http://127.0.0.1:8000')
  const second = () => claim(folder, 'http://127.0.0.1:9000')
  expect(second).toThrow(AlreadyRunningError)
  expect(second).toThrow(`process ${process.pid} at http://127.0.0.1:8000, since ${owner.since}`)
  expect(second).toThrow(/^[^\n]*$/)
})

test('a released folder can be claimed again, and the lock leaves no files', () => {
  claim(folder).release()
  expect(readdirSync(folder)).toEqual([])
  expect(claim(folder).tookOver).toBe(false)
})

test('a dead owner is replaced', () => {
  leaveOwner({ pid: DEAD_PID, since: '2026-01-01T00:00:00.000Z' })
  const { tookOver, owner } = claim(folder)
  expect(tookOver).toBe(true)
  expect(JSON.parse(readFileSync(path.join(folder, 'owner.json'), 'utf8'))).toEqual(owner)
})

test('a live process with the pid but another start time is not the owner', () => {
  leaveOwner({ pid: process.pid, startMark: `${startMark(process.pid)}0`, since: '2026-01-01T00:00:00.000Z' })
  expect(claim(folder).tookOver).toBe(true)
})

test('an unreadable record has no owner', () => {
  leaveOwner('{"pid":')
  expect(claim(folder).tookOver).toBe(true)
})

test('a late release does not affect the next owner', () => {
  const first = claim(folder)
  const next = JSON.stringify({ pid: process.ppid, since: '2026-01-01T00:00:00.000Z' })
  leaveOwner(next)
  first.release()
  expect(readFileSync(path.join(folder, 'owner.json'), 'utf8')).toBe(next)
})
