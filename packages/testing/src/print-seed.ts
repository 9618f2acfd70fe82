// A set-up file of vitest: a failing test prints the seed of the run's random inputs.
import { beforeEach } from 'vitest'
import { randomSeed } from './random.ts'

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`SLUICE_TEST_SEED=${randomSeed} repeats the random inputs of this run.`))
})
