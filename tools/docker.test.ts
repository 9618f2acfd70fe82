// Cross-checks of the Dockerfiles: with each other, docker-compose.yml, package.json, package-lock.json and .dockerignore.
import { describe, expect, test } from 'vitest'
import {
  compose,
  copiesOf,
  exists,
  finalStage,
  healthcheckOf,
  ignoreRules,
  imageNames,
  images,
  instructionOf,
  isInContext,
  packagesOf,
  parseDockerfile,
  productionPackages,
  read,
  stagesOf,
} from './images.fixture.ts'

test('compose builds the images that are tested, and a build without a target makes the API', () => {
  const built = Object.entries(compose.services).flatMap(([name, { build }]) =>
    build && name !== 'workers' ? [build] : [],
  )
  const stageIn = ({ dockerfile, target }: { dockerfile: string; target?: string | undefined }) =>
    `${dockerfile} ${finalStage(parseDockerfile(read(dockerfile)), target).name}`
  expect(built.map(stageIn).sort()).toEqual(Object.values(images).map(stageIn).sort())
  expect(compose.services.workers?.build).toEqual(compose.services.worker?.build)
  expect(stageIn({ dockerfile: 'Dockerfile.api' })).toBe('Dockerfile.api api')
})

describe.each(imageNames)('the image of %s', (app) => {
  const { dockerfile, target } = images[app]
  const stages = stagesOf(app)
  const final = finalStage(stages, target)
  const command: string[] = JSON.parse(instructionOf(final, 'CMD')!)

  test('begins from the base image and runs as an ordinary user', () => {
    expect(stages.map(({ name }) => name)).not.toContain(final.base)
    expect(final.base).toMatch(/^node:24-/)
    expect(instructionOf(final, 'USER')).toBe('node')
  })

  test('has the same health check in the image as in compose', () => {
    // Compose would read a single $ as a variable of its own.
    const inCompose = compose.services[app]?.healthcheck?.test.map((word) => word.replaceAll('$$', '$'))
    expect(['CMD', ...healthcheckOf(final)]).toEqual(inCompose)
    expect(compose.services[app]?.build?.dockerfile).toBe(dockerfile)
  })

  test('runs the files that the npm script runs, in its order, without the set-up around them', () => {
    const { scripts } = JSON.parse(read('package.json'))
    const filesIn = (text: string) => text.match(/(?:apps|packages)\/\S+\.js/g)
    expect(filesIn(command.join(' '))).toEqual(filesIn(scripts[`start:${app}`]))
    expect(command[0] === 'sh' ? command[2] : 'exec').toMatch(/^exec$|&& exec node /)
  })

  test('every stage copies only from the context or from an earlier stage', () => {
    stages.forEach((stage, index) => {
      const earlier = stages.slice(0, index).map(({ name }) => name)
      for (const { from, sources } of copiesOf(stage)) {
        if (from !== undefined) expect(earlier).toContain(from)
        for (const source of from === undefined ? sources : []) {
          expect(exists(source), source).toBe(true)
          expect(isInContext(source), source).toBe(true)
        }
      }
    })
  })

  test('installs its packages without those for development and optional ones', () => {
    const { stage, workspace } = packagesOf(app)
    expect(stage.base).toBe('manifests')
    expect(instructionOf(stage, 'RUN')).toBe(
      `npm ci --omit=dev --omit=optional --ignore-scripts --workspace ${workspace}`,
    )
  })

  test('copies the manifest and the built files of each of our packages that it runs', () => {
    const { own } = productionPackages(packagesOf(app).workspace)
    const manifests = copiesOf(stages.find(({ name }) => name === 'manifests')!).flatMap(
      (copy) => copy.sources,
    )
    expect(manifests).toEqual(expect.arrayContaining(own.map((folder) => `${folder}/package.json`)))
    const copied = copiesOf(final).flatMap(({ sources }) =>
      sources.map((source) => source.replace('/app/', '')),
    )
    const run = command.join(' ').match(/(?:apps|packages)\/\S+\.js/g)!
    for (const folder of own) {
      const { exports, main } = JSON.parse(read(`${folder}/package.json`))
      const entries = JSON.stringify([exports, main]).match(/\.\/(?:dist|src)\/[^"]+\.m?js/g) ?? []
      const files = [...entries.map((entry) => `${folder}/${entry.slice(2)}`), ...run]
      for (const file of files)
        expect(
          copied.some((from) => file.startsWith(`${from}/`)),
          file,
        ).toBe(true)
    }
  })
})

test('both Dockerfiles share their build: the stages before the packages are the same', () => {
  const shared = (app: 'api' | 'worker') => JSON.stringify(stagesOf(app).slice(0, 2))
  expect(shared('api')).toBe(shared('worker'))
})

test('nothing enters the context unless .dockerignore names it', () => {
  expect(ignoreRules[0]).toEqual({ keeps: false, pattern: '*' })
  for (const { pattern } of ignoreRules.filter(({ keeps }) => keeps)) {
    expect(exists(pattern), pattern).toBe(true)
    expect(pattern).not.toContain('*')
  }
})

test.each([
  '.env',
  '.env.local',
  '.git/config',
  '.data/postgres/PG_VERSION',
  'node_modules/fastify/package.json',
  'apps/api/.env',
  'apps/api/dist/main.js',
  'apps/api/node_modules/fastify/package.json',
  'packages/core/src/generated/client.ts',
  'packages/core/src/index.test.ts',
])('%s, a secret, data, a test or a build product, does not enter the context', (file) => {
  expect(isInContext(file)).toBe(false)
})
