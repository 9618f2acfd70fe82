// Cross-checks of the compose files: with each other, the programs' variables, and what is promised of the services.
import { readConfig, variables } from '@sluice/core/platform'
import { describe, expect, test } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { compose, read, type Service } from './images.fixture.ts'

/** A variable in compose's syntax, which JavaScript would interpolate. */
const variable = (text: string) => `\${${text}}`

/** A value after compose's interpolation: variables with defaults, the innermost first. */
function interpolated(text: string, env: Record<string, string>): string {
  const replaced = text.replaceAll(/\$\{(\w+):-([^{}]*)\}/g, (_, name, fallback) => env[name] || fallback)
  return replaced === text ? text : interpolated(replaced, env)
}

const services = Object.entries(compose.services)

/** The keys that our compose files use, by the compose specification; `x-…` are extensions. */
const COMPOSE_KEYS = {
  file: ['name', 'services', 'volumes', 'networks'],
  service: [
    'image',
    'build',
    'container_name',
    'command',
    'init',
    'restart',
    'environment',
    'ports',
    'volumes',
    'shm_size',
    'stop_grace_period',
    'sysctls',
    'healthcheck',
    'depends_on',
    'deploy',
  ],
  build: ['context', 'dockerfile', 'target'],
  healthcheck: ['test', 'interval', 'timeout', 'retries', 'start_period'],
  depends_on: ['condition'],
  deploy: ['replicas'],
}

/** Keys at places where the compose specification has none of that name. */
function unknownKeys(text: string): string[] {
  const file = parse(text, { merge: true, logLevel: 'silent' }) as { services: Record<string, Service> }
  const found: string[] = []
  const check = (place: string, value: object | undefined, known: string[]) => {
    for (const key of Object.keys(value ?? {}))
      if (!known.includes(key) && !key.startsWith('x-')) found.push(`${place}${key}`)
  }
  check('', file, COMPOSE_KEYS.file)
  for (const [name, service] of Object.entries(file.services)) {
    check(`${name}.`, service, COMPOSE_KEYS.service)
    for (const part of ['build', 'healthcheck', 'deploy'] as const)
      check(`${name}.${part}.`, service[part], COMPOSE_KEYS[part])
    for (const [target, condition] of Object.entries(service.depends_on ?? {}))
      check(`${name}.depends_on.${target}.`, condition, COMPOSE_KEYS.depends_on)
  }
  return found
}

describe('docker-compose.yml', () => {
  test.each(['docker-compose.yml', 'docker-compose.prod.yml'])(
    '%s has only keys that the compose specification defines',
    (file) => {
      expect(unknownKeys(read(file))).toEqual([])
    },
  )

  test('a misspelled key is found', () => {
    const misspelled = read('docker-compose.yml').replace('depends_on:', 'depend_on:')
    expect(unknownKeys(misspelled)).toContain('worker.depend_on')
  })

  test('services, container names, images and ports are as promised', () => {
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

  test('every service has a health check, and waits until the services it depends on are healthy', () => {
    for (const [name, service] of services) {
      expect(service.healthcheck?.test, name).toBeDefined()
      for (const [target, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services[target], `${name} depends on ${target}`).toBeDefined()
        expect(condition, `${name} depends on ${target}`).toBe('service_healthy')
      }
    }
  })

  test('the API starts without Redis, the workers wait for all services', () => {
    expect(Object.keys(compose.services.api?.depends_on ?? {})).toEqual(['postgres'])
    expect(Object.keys(compose.services.worker?.depends_on ?? {})).toEqual(['postgres', 'redis', 'api'])
    expect(compose.services.workers?.depends_on).toEqual(compose.services.worker?.depends_on)
    expect(Object.keys(compose.services.dashboard?.depends_on ?? {})).toEqual(['api'])
  })

  test("the programs log in with the database's own user and password", () => {
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

  test('a secret of one program is not in the environment of another', () => {
    const variablesOf = (name: string) => Object.keys(compose.services[name]?.environment ?? {})
    expect(variablesOf('dashboard')).not.toContain('DATABASE_URL')
    for (const name of ['dashboard', 'worker', 'workers'])
      for (const key of ['INBOUND_WEBHOOK_SECRET', 'RATE_LIMIT_PER_MINUTE'])
        expect(variablesOf(name)).not.toContain(key)
    expect(variablesOf('dashboard').filter((key) => key.startsWith('TEST_'))).toEqual([])
  })

  test('API and workers have the same settings of the bank and the test merchant', () => {
    const shared = variables.filter((name) =>
      /^(TEST|UPI|CARD|PROCESSING|REFUND)_|^EXTERNAL_PAYMENTS_MERCHANT$/.test(name),
    )
    expect(shared).toHaveLength(13)
    for (const name of ['api', 'worker', 'workers']) {
      const { environment = {} } = compose.services[name]!
      // Without a value: the caller's value if there is one, else the program's default.
      expect(Object.fromEntries(shared.map((key) => [key, environment[key]])), name).toEqual(
        Object.fromEntries(shared.map((key) => [key, null])),
      )
    }
    expect(compose.services.api?.environment).toHaveProperty('RATE_LIMIT_PER_MINUTE', null)
  })

  test('the API trusts the proxies in its own containers only, unless TRUST_PROXY names others', () => {
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
    // All are in that network, and none has a fixed address there.
    for (const [name, service] of services) expect(service, name).not.toHaveProperty('networks')
    // The pages have no proxy before them unless TRUST_PROXY names one.
    expect(compose.services.dashboard?.environment).toHaveProperty('TRUST_PROXY', null)
  })

  test('every variable of the programs can be set from outside, and no other variable exists', () => {
    const elsewhere = ['DATA_DIR', 'RECEIVER_PORT'] // of the embedded server and the receiver, which no container runs
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

  test('does not set TRUST_PROXY, so the default stays', () => {
    for (const [name, { environment }] of Object.entries(overrides))
      expect(environment ?? {}, name).not.toHaveProperty('TRUST_PROXY')
  })

  test('publishes no database port', () => {
    expect(overrides.postgres?.ports).toBe('reset')
    expect(overrides.redis?.ports).toBe('reset')
  })

  test('leaves the sandbox and requires a password at each place', () => {
    expect(overrides.postgres?.environment?.POSTGRES_PASSWORD).toMatch(/^\$\{POSTGRES_PASSWORD:\?.+\}$/)
    for (const name of ['api', 'worker', 'workers']) {
      expect(overrides[name]?.environment).toMatchObject({ SANDBOX: 'false' })
      expect(overrides[name]?.environment?.DATABASE_URL).toMatch(
        /gateway_user:\$\{POSTGRES_PASSWORD:\?.+\}@postgres/,
      )
    }
  })
})
