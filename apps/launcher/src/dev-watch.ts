// `npm run dev`: builds when a source changes, and restarts the apps after a successful build.
import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import path from 'node:path'
import type { Print } from './output.ts'

/** Editors and git write several files at once; one build covers changes within this time. */
const QUIET_MS = 300
const WATCHED = [
  'packages/contracts',
  'packages/core',
  'apps/api',
  'apps/worker',
  'apps/pages',
  'apps/dashboard',
]
const isSource = (file: string) =>
  /\.(tsx?|css|svg|html)$/.test(file) && !/\.(test|fixture)\.tsx?$/.test(file)

/**
 * Watches the sources; returns a function that stops watching. An incremental build takes a second or two, so no compiler
 * stays resident, and none can be left behind.
 */
export function watchSources(root: string, print: Print, onBuilt: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  let compiler: ChildProcess | undefined

  const build = () => {
    if (compiler) return later()
    // The set-up of `npm start`: TypeScript always, the pages if their sources have changed.
    compiler = spawn(process.execPath, ['tools/setup.mjs'], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true, // a group of its own: the launcher passes Ctrl-C on
    })
    compiler.once('error', (error) => print(`The compiler could not be started: ${error.message}`))
    compiler.once('close', (code) => {
      compiler = undefined
      if (code === 0) onBuilt()
      print(code === 0 ? 'Built; restarting.' : 'The build failed; the apps keep running the last build.')
    })
  }
  const later = () => {
    clearTimeout(timer)
    timer = setTimeout(build, QUIET_MS)
  }
  const noteChange = (_event: string, file: string | null) => {
    if (file !== null && isSource(file)) later()
  }
  const watchers = [
    ...WATCHED.map((folder) => watch(path.join(root, folder, 'src'), { recursive: true }, noteChange)),
    watch(path.join(root, 'apps/dashboard'), noteChange), // index.html; not recursive, because dist is below
  ]
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
    compiler?.removeAllListeners('close')
    if (compiler?.pid && compiler.exitCode === null) process.kill(-compiler.pid)
  }
}
