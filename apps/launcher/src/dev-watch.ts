// `npm run dev`: builds when a source changes, and has the apps restarted when that worked.
import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import path from 'node:path'
import type { Say } from './output.ts'

/** An editor, and git even more, writes several files at once. */
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
 * An incremental build takes a second or two, so no compiler has to stay resident (and none can be left behind).
 * Returns what ends the watching.
 */
export function watchSources(root: string, say: Say, onBuilt: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  let compiler: ChildProcess | undefined

  const build = () => {
    if (compiler) return later()
    // The set-up of `npm start`: TypeScript always, the pages when something of theirs has changed.
    compiler = spawn(process.execPath, ['tools/setup.mjs'], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true, // a group of its own, so that Ctrl-C is the launcher's to pass on
    })
    compiler.once('error', (error) => say(`The compiler could not be started: ${error.message}`))
    compiler.once('close', (code) => {
      compiler = undefined
      if (code === 0) onBuilt()
      say(code === 0 ? 'Built; restarting.' : 'The build failed; the apps go on as they were.')
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
    watch(path.join(root, 'apps/dashboard'), noteChange), // index.html; not what is built below
  ]
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
    compiler?.removeAllListeners('close')
    if (compiler?.pid && compiler.exitCode === null) process.kill(-compiler.pid)
  }
}
