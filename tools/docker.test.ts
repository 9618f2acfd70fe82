// The Docker files, as far as they can be checked without Docker: their syntax, their schema, and that they agree with
// each other, with package.json and with what the programs read from their environment.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readConfig, variables } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { contextFiles, OUR_IMAGES, parseDockerfile, stageOf } from './docker-check.mjs'

const root = path.resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const bin = (name: string) => path.join(root, 'node_modules', '.bin', name)
/** A variable of compose, for which JavaScript has a meaning of its own. */
const variable = (text: string) => `\${${text}}`

/** A value as compose hands it on: variables with defaults, the innermost first. */
function interpolated(text: string, env: Record<string, string>): string {
  const replaced = text.replaceAll(/\$\{(\w+):-([^{}]*)\}/g, (_, name, fallback) => env[name] || fallback)
  return replaced === text ? text : interpolated(replaced, env)
}

type Service = {
  image?: string
  build?: { context: string; dockerfile: string; target?: string }
  container_name?: string
  ports?: string[]
  sysctls?: Record<string, number>
  environment?: Record<string, string | number | null>
  healthcheck?: { test: string[] }
  depends_on?: Record<string, { condition: string }>
  deploy?: { replicas: string }
  volumes?: string[]
}
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, unknown>
  networks: Record<string, { ipam: { config: { subnet: string; gateway: string; ip_range: string }[] } }>
}
const services = Object.entries(compose.services)

// Matters of taste that our files decide otherwise: order of keys, `build` beside `image` (two services share one).
const STYLE_RULES = [
  'no-build-and-image',
  'no-unbound-port-interfaces', // it can't see through ${BIND:-127.0.0.1}; a test below does
  'require-project-name-field',
  'require-quotes-in-ports', // wants single quotes
  'service-image-require-explicit-tag', // ours are built here
  'service-keys-order',
  'services-alphabetical-order',
  'top-level-properties-order',
]
function dclint(file: string) {
  const disabled = STYLE_RULES.flatMap((rule) => ['--disable-rule', rule])
  return spawnSync(bin('dclint'), [file, '--max-warnings', '0', ...disabled], { cwd: root, encoding: 'utf8' })
}

describe('docker-compose.yml', () => {
  test.each(['docker-compose.yml', 'docker-compose.prod.yml'])(
    '%s follows the compose specification',
    (file) => {
      const { status, stdout, stderr } = dclint(file)
      expect((stdout + stderr).trim()).toBe('')
      expect(status).toBe(0)
    },
  )

  test('the linter does find what the specification does not know', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-compose-'))
    try {
      const file = path.join(folder, 'docker-compose.yml')
      writeFileSync(file, read('docker-compose.yml').replace('depends_on:', 'depend_on:'))
      expect(dclint(file).stdout).toContain('/services/worker')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('has the services, container names, images and ports that are promised', () => {
    const facts = services.map(([name, { container_name, ports }]) => [name, container_name, ports])
    expect(facts).toEqual([
      ['postgres', 'pg_gateway', [`${variable('BIND:-127.0.0.1')}:5432:5432`]],
      ['redis', 'redis_gateway', [`${variable('BIND:-127.0.0.1')}:6379:6379`]],
      ['api', 'gateway_api', [`${variable('BIND:-127.0.0.1')}:8000:8000`]],
      ['dashboard', 'gateway_dashboard', [`${variable('BIND:-127.0.0.1')}:3000:80`]],
      ['worker', 'gateway_worker', undefined],
      ['workers', undefined, undefined],
    ])
    expect(compose.services.redis?.image).toBe('redis:7-alpine')
    expect(compose.services.postgres?.image).toMatch(/^postgres:(1[5-9]|[2-9]\d)-alpine$/)
    expect(compose.services.workers?.deploy?.replicas).toBe(variable('EXTRA_WORKERS:-0'))
  })

  test('every service has a health check, and what is waited for exists and is waited for until healthy', () => {
    for (const [name, service] of services) {
      expect(service.healthcheck?.test, name).toBeDefined()
      for (const [target, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services[target], `${name} depends on ${target}`).toBeDefined()
        expect(condition, `${name} depends on ${target}`).toBe('service_healthy')
      }
    }
  })

  test('the API starts without Redis, the workers with everything', () => {
    expect(Object.keys(compose.services.api?.depends_on ?? {})).toEqual(['postgres'])
    expect(Object.keys(compose.services.worker?.depends_on ?? {})).toEqual(['postgres', 'redis', 'api'])
    expect(compose.services.workers?.depends_on).toEqual(compose.services.worker?.depends_on)
    expect(Object.keys(compose.services.dashboard?.depends_on ?? {})).toEqual(['api'])
  })

  test('the programs log in with what the database is made with', () => {
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = compose.services.postgres?.environment ?? {}
    expect([POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB]).toEqual([
      'gateway_user',
      'gateway_pass',
      'payment_gateway',
    ])
    for (const name of ['api', 'worker', 'workers']) {
      const { DATABASE_URL, REDIS_URL, HOST, SANDBOX } = compose.services[name]?.environment ?? {}
      expect(DATABASE_URL).toBe(
        `postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres:5432/${POSTGRES_DB}`,
      )
      expect([REDIS_URL, HOST, SANDBOX]).toEqual(['redis://redis:6379', '0.0.0.0', variable('SANDBOX:-true')])
    }
  })

  test('the dashboard finds the API, and listens on port 80 as an ordinary user', () => {
    const { environment, sysctls } = compose.services.dashboard!
    expect(environment).toMatchObject({ HOST: '0.0.0.0', DASHBOARD_PORT: 80, API_URL: 'http://api:8000' })
    expect(compose.services.api?.environment?.PORT).toBe(8000)
    expect(sysctls).toEqual({ 'net.ipv4.ip_unprivileged_port_start': 0 })
  })

  test('what is known to one program only is told to no other', () => {
    const told = (name: string) => Object.keys(compose.services[name]?.environment ?? {})
    expect(told('dashboard')).not.toContain('DATABASE_URL')
    for (const name of ['dashboard', 'worker', 'workers'])
      for (const key of ['INBOUND_WEBHOOK_SECRET', 'RATE_LIMIT_PER_MINUTE'])
        expect(told(name)).not.toContain(key)
    expect(told('dashboard').filter((key) => key.startsWith('TEST_'))).toEqual([])
  })

  test('API and workers are told alike what the bank does and whom the merchants are', () => {
    const shared = variables.filter((name) =>
      /^(TEST|UPI|CARD|PROCESSING|REFUND)_|^EXTERNAL_PAYMENTS_MERCHANT$/.test(name),
    )
    expect(shared).toHaveLength(13)
    for (const name of ['api', 'worker', 'workers']) {
      const { environment = {} } = compose.services[name]!
      // Without a value: handed on if it is set, and the default of the programs if it is not.
      expect(Object.fromEntries(shared.map((key) => [key, environment[key]])), name).toEqual(
        Object.fromEntries(shared.map((key) => [key, null])),
      )
    }
    expect(compose.services.api?.environment).toHaveProperty('RATE_LIMIT_PER_MINUTE', null)
  })

  test('the API believes its own containers about their callers, and nobody else, unless told whom to believe', () => {
    const network = (env: Record<string, string>) => {
      const [config] = compose.networks.default?.ipam.config ?? []
      const [subnet, gateway, containers] = [config?.subnet, config?.gateway, config?.ip_range].map((text) =>
        interpolated(text!, env),
      )
      const value = interpolated(String(compose.services.api?.environment?.TRUST_PROXY), env)
      return { subnet, gateway, containers, trusted: readConfig({ TRUST_PROXY: value }).trustProxy }
    }
    expect(network({})).toEqual({
      subnet: '10.89.34.0/24',
      gateway: '10.89.34.1',
      containers: '10.89.34.128/25',
      trusted: ['10.89.34.128/25'],
    })
    expect(network({ NETWORK_PREFIX: '172.30.7' })).toMatchObject({
      subnet: '172.30.7.0/24',
      trusted: ['172.30.7.128/25'],
    })
    expect(network({ TRUST_PROXY: '203.0.113.7' }).trusted).toEqual(['203.0.113.7'])
    // All are in that network, and nobody has an address of his own choice there.
    for (const [name, service] of services) expect(service, name).not.toHaveProperty('networks')
    // The pages have no such proxy before them unless somebody says so.
    expect(compose.services.dashboard?.environment).toHaveProperty('TRUST_PROXY', null)
  })

  test('every variable of the programs can be set from outside, and no other is invented', () => {
    const elsewhere = ['DATA_DIR', 'RECEIVER_PORT'] // of the embedded server and the receiver, which no container has
    const known = variables.filter((name) => !elsewhere.includes(name))
    const programs = ['api', 'worker', 'dashboard'].map((name) => compose.services[name]?.environment ?? {})
    const set = new Set(programs.flatMap((environment) => Object.keys(environment)))
    expect([...set].sort()).toEqual([...known].sort())
  })

  test('named volumes are declared', () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]))
    expect(used.sort()).toEqual(Object.keys(compose.volumes).sort())
  })
})

describe('docker-compose.prod.yml', () => {
  const document = parseDocument(read('docker-compose.prod.yml'), {
    merge: true,
    customTags: [{ tag: '!reset', collection: 'seq', resolve: () => 'reset' }],
  })
  const { services: overrides } = document.toJS() as { services: Record<string, Service> }

  test('changes only services that exist', () => {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(overrides)))
  })

  test('leaves it to the deployment whom to believe, with the same default', () => {
    for (const [name, { environment }] of Object.entries(overrides))
      expect(environment ?? {}, name).not.toHaveProperty('TRUST_PROXY')
  })

  test('publishes no database port', () => {
    expect(overrides.postgres?.ports).toBe('reset')
    expect(overrides.redis?.ports).toBe('reset')
  })

  test('leaves the sandbox and demands a password wherever one is used', () => {
    expect(overrides.postgres?.environment?.POSTGRES_PASSWORD).toMatch(/^\$\{POSTGRES_PASSWORD:\?.+\}$/)
    for (const name of ['api', 'worker', 'workers']) {
      expect(overrides[name]?.environment).toMatchObject({ SANDBOX: 'false' })
      expect(overrides[name]?.environment?.DATABASE_URL).toMatch(
        /gateway_user:\$\{POSTGRES_PASSWORD:\?.+\}@postgres/,
      )
    }
  })
})

test('compose builds the images that are checked here, and a build without a target makes what the file is named after', () => {
  const built = services.flatMap(([name, { build }]) => (build && name !== 'workers' ? [build] : []))
  const stageIn = ({ dockerfile, target }: { dockerfile: string; target?: string }) =>
    `${dockerfile} ${stageOf(parseDockerfile(read(dockerfile)), target).name}`
  expect(built.map(stageIn).sort()).toEqual(OUR_IMAGES.map(stageIn).sort())
  expect(compose.services.workers?.build).toEqual(compose.services.worker?.build)
  expect(stageIn({ dockerfile: 'Dockerfile.api' })).toBe('Dockerfile.api api')
})

describe.each([
  ['api', 'Dockerfile.api', undefined],
  ['worker', 'Dockerfile.worker', undefined],
  ['dashboard', 'Dockerfile.api', 'dashboard'],
])('the image of %s', (app, file, target) => {
  const stages = parseDockerfile(read(file))
  const final = stageOf(stages, target)
  const instruction = (keyword: string) =>
    final.instructions.find((candidate) => candidate.keyword === keyword)?.value

  test('is well-formed', () => {
    expect(execFileSync(bin('dockerfile-utils'), ['lint', path.join(root, file)], { encoding: 'utf8' })).toBe(
      '',
    )
  })

  test('begins afresh and runs as an ordinary user', () => {
    expect(stages.map(({ name }) => name)).not.toContain(final.base)
    expect(final.base).toMatch(/^node:24-/)
    expect(instruction('USER')).toBe('node')
  })

  test('is checked in the image as it is by compose', () => {
    // Compose would take a single $ for a variable of its own.
    const inCompose = compose.services[app]?.healthcheck?.test.map((word) => word.replaceAll('$$', '$'))
    expect(['CMD', ...JSON.parse(instruction('HEALTHCHECK')!.replace(/^.*?CMD\s+/, ''))]).toEqual(inCompose)
    expect(compose.services[app]?.build?.dockerfile).toBe(file)
  })

  test('runs the files that the npm script runs, in its order, without the set-up around them', () => {
    const { scripts } = JSON.parse(read('package.json'))
    const filesIn = (text: string) => text.match(/(?:apps|packages)\/\S+\.js/g)
    const command: string[] = JSON.parse(instruction('CMD')!)
    expect(filesIn(command.join(' '))).toEqual(filesIn(scripts[`start:${app}`]))
    expect(command[0] === 'sh' ? command[2] : 'exec').toMatch(/^exec$|&& exec node /)
  })

  test('copies only what exists', () => {
    const context = contextFiles()
    for (const { keyword, flags, value } of stages.flatMap((stage) => stage.instructions)) {
      if (keyword !== 'COPY' || flags.from) continue
      for (const source of value.split(/\s+/).slice(0, -1)) {
        expect(existsSync(path.join(root, source)), source).toBe(true)
        expect(
          context.some((name) => name === source || name.startsWith(`${source}/`)),
          source,
        ).toBe(true)
      }
    }
  })
})

test('both images share their build: the stages before the packages are the same', () => {
  const shared = (file: string) => JSON.stringify(parseDockerfile(read(file)).slice(0, 2))
  expect(shared('Dockerfile.api')).toBe(shared('Dockerfile.worker'))
})

test('no secret, data or build product enters the context', () => {
  const suspicious = contextFiles().filter((file) =>
    /(^|\/)(\.env|\.git|\.data|node_modules|dist|generated)/.test(file),
  )
  expect(suspicious).toEqual([])
})
