// `npm start` and `npm run dev`: sets the clone up, then runs the launcher in this process, so that signals reach it.
import { main, root, Stopped, stopOnSignals } from './process.mjs'
import { setup } from './setup.mjs'

await main(async () => {
  const { stop, release } = stopOnSignals()
  try {
    await setup({ stop })
  } catch (error) {
    if (error instanceof Stopped) return 0 // the user stopped it
    throw error
  }
  process.setSourceMapsEnabled(true)
  const { launch } = await import(`${root}/apps/launcher/dist/main.js`)
  if (stop.aborted) return 0
  const running = launch({ root, watch: process.argv.includes('--watch') })
  release() // the launcher handles signals from here on
  return running
})
process.exit() // with main's exit code; open handles must not delay the end
