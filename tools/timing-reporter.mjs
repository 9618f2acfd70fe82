// A vitest reporter: writes how long each test file took, with its set-up, to the file that SLUICE_TEST_TIMES names.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './process.mjs'

/** @implements {import('vitest/node').Reporter} */
export default class TimingReporter {
  /** @type {{ file: string, seconds: number }[]} */
  #times = []

  /** @param {import('vitest/node').TestModule} testModule */
  onTestModuleEnd(testModule) {
    const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } =
      testModule.diagnostic()
    const ms = environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration
    this.#times.push({ file: path.relative(root, testModule.moduleId), seconds: ms / 1000 })
  }

  onTestRunEnd() {
    const file = process.env.SLUICE_TEST_TIMES
    if (file) writeFileSync(file, JSON.stringify(this.#times))
  }
}
