// Root's folder below /var/tmp: refused if another user may have created it.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isRoot } from './account.ts'
import { ensureRootFolder, rootFolderOf } from './root-folder.ts'

let parent: string
let folder: string
beforeEach(() => {
  parent = mkdtempSync(path.join(os.tmpdir(), 'sluice-root-'))
  folder = path.join(parent, 'sluice-abc')
})
afterEach(() => rmSync(parent, { recursive: true }))

test('a link is refused, with any target', () => {
  symlinkSync('/var/tmp', folder)
  expect(() => ensureRootFolder(folder)).toThrow(/is a symbolic link/)
})

test('a file is refused', () => {
  writeFileSync(folder, '')
  expect(() => ensureRootFolder(folder)).toThrow(/isn't a folder/)
})

test("another user's folder is refused", () => {
  mkdirSync(folder)
  if (isRoot()) chownSync(folder, 12_345, 12_345) // without root the folder belongs to another user anyway
  expect(() => ensureRootFolder(folder)).toThrow(/belongs to user \d+ instead of root/)
})

test("root's folder is refused if others may write to it, otherwise created and opened for the server's account", () => {
  if (!isRoot()) return expect(() => ensureRootFolder(folder)).toThrow(/instead of root/)
  expect(ensureRootFolder(folder)).toBe(folder)
  chmodSync(folder, 0o700)
  ensureRootFolder(folder)
  expect(statSync(folder).mode & 0o777).toBe(0o755)
  chmodSync(folder, 0o777)
  expect(() => ensureRootFolder(folder)).toThrow(/may be written to by others/)
})

test('two clones never share a folder', () => {
  mkdirSync(path.join(parent, 'a'))
  mkdirSync(path.join(parent, 'b'))
  expect(rootFolderOf(path.join(parent, 'a'))).not.toBe(rootFolderOf(path.join(parent, 'b')))
  expect(rootFolderOf(path.join(parent, 'a'))).toMatch(/^\/var\/tmp\/sluice-[0-9a-f]{12}$/)
})
