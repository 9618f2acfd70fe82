// `npm run dev`: builds when a source changes, and has the apps restarted when that worked.
import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import path from 'node:path'
import type { Say } from './output.ts'

/** An editor, and git even more, writes several files at once. */
const QUIET_MS = 300
const WATCHED = ['packages/contracts', 'packages/core', 'apps/api', 'apps/worker']

/**
 * An incremental build takes a fraction of a second, so no compiler has to stay resident (and none can be left behind).
 * Returns what ends the watching.
 */
export function watchSources(root: string, say: Say, onBuilt: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  let compiler: ChildProcess | undefined

  const build = () => {
    if (compiler) return later()
    compiler = spawn(path.join(root, 'node_modules/.bin/tsc'), ['-b'], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true, // a group of its own: the program in node_modules/.bin only starts the real one
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
    if (file?.endsWith('.ts') && !file.endsWith('.test.ts')) later()
  }
  const watchers = WATCHED.map((folder) =>
    watch(path.join(root, folder, 'src'), { recursive: true }, noteChange),
  )
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
    compiler?.removeAllListeners('close')
    if (compiler?.pid && compiler.exitCode === null) process.kill(-compiler.pid)
  }
}
