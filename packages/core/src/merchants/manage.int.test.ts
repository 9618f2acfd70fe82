// The operator's tool on a real database: its commands, in this process and as a process of its own.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createDatabase, type TestDatabase } from '@sluice/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Database, openDatabase } from '../platform/database.ts'
import { authenticateByKey } from './authenticate.ts'
import { errorLine, parseCommand, USAGE } from './commands.ts'
import { assignAccounts, createMerchant } from './manage.ts'
import { readPassword } from './read-password.ts'
import { SEEDED_MERCHANT_ID } from './seed.ts'
import { findSession, openSession } from './sessions.ts'

const log = pino({ level: 'silent' })
const script = path.resolve(import.meta.dirname, '../../dist/merchant.js')
const email = 'ops@acme.example'
/** A busy machine takes its time. */
const patient = { statementTimeoutMs: 5000, connectTimeoutMs: 5000 }
let database: TestDatabase
let db: Database
beforeEach(async () => {
  database = await createDatabase(inject('postgresUrl'))
  db = openDatabase({ url: database.url, applicationName: 'test', log, ...patient })
})
afterEach(async () => {
  await db.close()
  await database.drop()
})

/** The output of a command, or its error line; `input` is its standard input. */
async function merchant(
  args: string[],
  { input = '', on = db }: { input?: string; on?: Database } = {},
): Promise<{ printed: string } | { problem: string }> {
  const command = parseCommand(args)
  if (command === undefined || command === 'help') throw new Error(`${args} are no command`)
  const stdin = new PassThrough()
  stdin.end(input)
  const askForPassword = () => readPassword(stdin as unknown as NodeJS.ReadStream, process.stderr)
  try {
    return { printed: await command({ db: on, askForPassword }) }
  } catch (error) {
    return { problem: errorLine(error) }
  }
}

/** Runs a command as a process. Standard input stays open. */
async function merchantProcess(args: string[], { input = '', url = database.url } = {}) {
  const env = { PATH: process.env.PATH, DATABASE_URL: url }
  const child = spawn(process.execPath, [script, ...args], { env })
  child.stdin.on('error', () => {}) // it may end without having read
  child.stdin.write(input)
  const exited = new Promise((resolve) => child.on('exit', resolve))
  const [code, stdout, stderr] = await Promise.all([exited, text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}

const create = (...more: string[]) => merchant(['create', '--name', 'Acme', '--email', email, ...more])
const merchants = () => database.query('SELECT * FROM merchants ORDER BY email')
const accounts = () =>
  database.query<{ account: string; email: string }>(
    'SELECT account, email FROM merchant_accounts JOIN merchants ON id = merchant_id ORDER BY account',
  )

const done = { printed: expect.any(String) }
/** One line with this text. */
const problem = (part: string) => ({ problem: expect.stringMatching(new RegExp(`^[^\n]*${part}[^\n]*$`)) })

test('a new merchant gets working credentials that no other command shows', async () => {
  const args = [
    '--name',
    'Acme & Söhne',
    '--email',
    'Ops@ACME.example',
    '--account',
    'acc_2',
    '--account',
    'acc_1',
  ]
  const { code, stdout, stderr } = await merchantProcess(['create', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const [, id] = /^ {2}id +(\S+)$/m.exec(stdout) ?? []
  const [, key = ''] = /^ {2}api_key +(\S+)$/m.exec(stdout) ?? []
  const [, secret = ''] = /^ {2}api_secret +(\S+)$/m.exec(stdout) ?? []
  expect(key).toMatch(/^key_[A-Za-z0-9]{24}$/)
  expect(secret).toMatch(/^secret_[A-Za-z0-9]{40}$/)
  expect(stdout).toContain(`npm run merchant -- password ${email}\n`)
  expect(await authenticateByKey(db, key, secret)).toEqual({ id, name: 'Acme & Söhne', email })
  const shownLater = await Promise.all([
    merchant(['list']),
    merchant(['account', email, 'acc_3']),
    merchant(['password', email], { input: 'correct horse\n' }),
    create(),
  ])
  const [row] = await database.query('SELECT password_hash FROM merchants WHERE email = $1', [email])
  for (const shown of shownLater) {
    for (const hidden of [key, secret, 'correct horse', row?.password_hash, 'xyz789', 'abc123']) {
      expect(JSON.stringify(shown)).not.toContain(hidden)
    }
  }
})

test('each merchant gets different credentials', async () => {
  const created = await Promise.all(
    [1, 2, 3].map((n) => createMerchant(db, { name: 'Acme', email: `ops${n}@acme.example`, accounts: [] })),
  )
  expect(new Set(created.flatMap(({ id, apiKey, apiSecret }) => [id, apiKey, apiSecret])).size).toBe(9)
})

test('an e-mail belongs to one merchant, in any case and with concurrent operators', async () => {
  const outcomes = await Promise.all([create(), create(), create()])
  const refused = outcomes.filter((outcome) => 'problem' in outcome)
  expect(refused).toEqual(Array(2).fill(problem(`E-mail must be new; another merchant has ${email} already`)))
  expect(await merchant(['create', '--name', 'Other', '--email', 'TEST@example.com'])).toEqual(
    problem('E-mail must be new; another merchant has test@example.com already'),
  )
  expect(await merchants()).toMatchObject([{ email }, { email: 'test@example.com', name: 'Test Merchant' }])
})

test('a merchant is not created when one of its accounts is refused', async () => {
  expect(await create('--account', 'acc_1', '--account', 'acc_merchant_456')).toEqual(
    problem('"acc_merchant_456" belongs to another merchant'),
  )
  expect(await create('--account', '.')).toEqual(problem('Account must have 1 to 100 characters'))
  expect(await merchants()).toHaveLength(1)
  expect(await accounts()).toEqual([{ account: 'acc_merchant_456', email: 'test@example.com' }])
})

test.each([
  ['no @', { email: 'acme.example' }, 'e-mail must'],
  ['two @', { email: 'a@b@acme.example' }, 'e-mail must'],
  ['white space', { email: 'ops @acme.example' }, 'e-mail must'],
  ['NUL in the e-mail', { email: 'ops\0@acme.example' }, 'e-mail must'],
  ['too long an e-mail', { email: `${'x'.repeat(250)}@a.com` }, 'e-mail must'],
  ['an e-mail that grows too long in lower case', { email: `${'İ'.repeat(200)}@a.com` }, 'e-mail must'],
  ['no name', { name: '' }, 'name must'],
  ['a name of spaces', { name: '  ' }, 'name must'],
  ['NUL in the name', { name: 'Ac\0me' }, 'name must'],
  ['a name of two lines', { name: 'Ac\nme' }, 'name must'],
  ['too long a name', { name: '🐎'.repeat(256) }, 'name must'],
  ['NUL in an account', { accounts: ['acc', 'a\0b'] }, 'account must'],
  ['an empty account', { accounts: [''] }, 'account must'],
  ['too long an account', { accounts: ['x'.repeat(101)] }, 'account must'],
])('a merchant is refused for %s', async (_name, fields, description) => {
  await expect(createMerchant(db, { name: 'Acme', email, accounts: [], ...fields })).rejects.toMatchObject({
    code: 'BAD_REQUEST_ERROR',
    message: expect.stringContaining(description),
  })
  expect(await merchants()).toHaveLength(1)
})

test('the longest name, e-mail and account fit', async () => {
  const longest = { name: '🐎'.repeat(255), email: `${'🐎'.repeat(249)}@a.com`, accounts: ['🐎'.repeat(100)] }
  const { id } = await createMerchant(db, longest)
  expect(await database.query('SELECT name, email FROM merchants WHERE id = $1', [id])).toEqual([
    { name: longest.name, email: longest.email },
  ])
})

test('a password comes from one line of standard input and ends the sessions', async () => {
  const { id } = await createMerchant(db, { name: 'Acme', email, accounts: [] })
  const logIn = (password: string) => openSession({ db, sandbox: false }, { email, password })
  const outcome = await merchantProcess(['password', 'OPS@acme.example'], { input: 'correct horse\n' })
  expect(outcome).toEqual({ code: 0, stdout: expect.stringContaining('is set'), stderr: '' })
  const session = (await logIn('correct horse'))!
  expect(session.merchant.id).toBe(id)
  // Input without a line end, with a Windows line end, and with a second line.
  for (const input of ['battery staple', 'battery staple\r\n', 'battery staple\ncorrect horse\n']) {
    const before = (await logIn('correct horse')) ?? (await logIn('battery staple'))
    expect(await merchant(['password', email], { input })).toEqual(done)
    expect(await findSession({ db, sandbox: true }, before!.token)).toBeUndefined()
    expect(await logIn('battery staple')).toBeDefined()
    expect(await logIn('correct horse')).toBeUndefined()
  }
  expect(await findSession({ db, sandbox: true }, session.token)).toBeUndefined()
})

test('a refused password changes nothing', async () => {
  await createMerchant(db, { name: 'Acme', email, accounts: [] })
  const set = (input: string, who = email) => merchant(['password', who], { input })
  expect(await set('')).toEqual(problem('No password was given; nothing was changed'))
  expect(await set('\n')).toEqual(problem('Password must be 8 to 200 characters'))
  expect(await set('1234567\n')).toEqual(problem('Password must be 8 to 200 characters'))
  expect(await set(`${'x'.repeat(201)}\n`)).toEqual(problem('Password must be 8 to 200 characters'))
  expect(await set('correct horse\n', 'unknown@acme.example')).toEqual(
    problem('Merchant unknown@acme.example not found'),
  )
  expect(await database.query('SELECT 1 FROM merchants WHERE password_hash IS NOT NULL')).toEqual([])
})

test('accounts are assigned once, all of them or none', async () => {
  await create()
  expect(await merchant(['account', email, 'acc_1', 'a b', 'acc_1'])).toEqual({
    printed: `${email} has the accounts acc_1, "a b", acc_1.`,
  })
  expect(await merchant(['account', 'OPS@acme.example', 'acc_1', 'acc_2'])).toEqual(done)
  expect(await merchant(['account', email, '--', '-5'])).toEqual(done)
  const assigned = await accounts()
  expect(assigned).toEqual([
    { account: '-5', email },
    { account: 'a b', email },
    { account: 'acc_1', email },
    { account: 'acc_2', email },
    { account: 'acc_merchant_456', email: 'test@example.com' },
  ])
  expect(await merchant(['account', email, 'acc_3', 'acc_merchant_456'])).toEqual(
    problem('Nothing was changed: "acc_merchant_456" belongs to another merchant'),
  )
  expect(await merchant(['account', email, 'acc_3', '..'])).toEqual(problem('Account must have'))
  expect(await merchant(['account', email, 'acc_3', 'x'.repeat(101)])).toEqual(problem('Account must have'))
  expect(await merchant(['account', 'unknown@acme.example', 'acc_3'])).toEqual(
    problem('Merchant unknown@acme.example not found'),
  )
  expect(await accounts()).toEqual(assigned)
})

test('of two concurrent assignments of the same accounts one succeeds with all of them', async () => {
  const emails = [0, 1].map((n) => `ops${n}@acme.example`)
  for (const email of emails) await createMerchant(db, { name: 'Acme', email, accounts: [] })
  for (let round = 0; round < 10; round++) {
    const requested = Array.from({ length: 20 }, (_, n) => `${round}_${n}`)
    const outcomes = await Promise.allSettled([
      assignAccounts(db, emails[0]!, requested),
      assignAccounts(db, emails[1]!, requested.toReversed()),
    ])
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(refused).toMatchObject([{ reason: { code: 'CONFLICT_ERROR' } }])
    const winner = emails[outcomes.findIndex(({ status }) => status === 'fulfilled')]
    const owners = (await accounts()).filter(({ account }) => requested.includes(account))
    expect(owners.map(({ email }) => email)).toEqual(Array(20).fill(winner))
  }
})

test('the list has every merchant with its state and accounts', async () => {
  await create('--account', 'acc_2', '--account', 'a,b', '--account', 'x\u009b31m')
  await merchant(['deactivate', 'test@example.com'])
  expect(await merchant(['list'])).toEqual({
    printed:
      `${email}\tactive\tAcme\t"a,b", acc_2, "x\\u{9b}31m"\n` +
      'test@example.com\tnot active\tTest Merchant\tacc_merchant_456',
  })
})

test('an empty list is one sentence', async () => {
  await database.query('DELETE FROM merchant_accounts; DELETE FROM merchants')
  expect(await merchant(['list'])).toEqual({ printed: 'There are no merchants.' })
})

test('a deactivated merchant has no access until its activation, and its sessions are ended', async () => {
  const credentials = ['key_test_abc123', 'secret_test_xyz789'] as const
  const session = await openSession({ db, sandbox: true }, { email: 'test@example.com', password: 'x' })
  expect(await merchant(['deactivate', 'Test@example.com'])).toEqual(done)
  expect(await authenticateByKey(db, ...credentials)).toBeUndefined()
  expect(await merchant(['deactivate', 'test@example.com'])).toEqual(done)
  expect(await merchant(['activate', 'test@example.com'])).toEqual(done)
  expect(await authenticateByKey(db, ...credentials)).toMatchObject({ id: SEEDED_MERCHANT_ID })
  expect(await findSession({ db, sandbox: true }, session!.token)).toBeUndefined()
  for (const command of ['activate', 'deactivate']) {
    expect(await merchant([command, 'unknown@acme.example'])).toEqual(
      problem('Merchant unknown@acme.example not found'),
    )
    expect(await merchant([command, 'unknown'])).toEqual(problem('E-mail must'))
  }
})

test('wrong arguments are no command', () => {
  const wrong = [
    [],
    ['constructor'],
    ['create'],
    ['create', '--name', 'Acme'],
    ['create', '--email', email],
    ['create', '--name', 'Acme', '--email', email, 'acc_1'],
    ['create', '--name', 'Acme', '--email', email, '--secret', 'x'],
    ['create', '--name', '--email', email],
    ['password'],
    ['password', email, 'correct horse'],
    ['account', email],
    ['account', email, 'acc_1', '--force'],
    ['list', email],
    ['activate'],
    ['deactivate', email, 'test@example.com'],
  ]
  expect(wrong.filter((args) => parseCommand(args) !== undefined)).toEqual([])
})

test('wrong arguments print the usage as an error; --help prints it to standard output', async () => {
  expect(USAGE).toMatch(/^Usage: npm run merchant -- <command>\n( {2}.+(\n|$)){6}$/)
  const printed = `${USAGE}\n`
  expect(await merchantProcess([], { url: '' })).toEqual({ code: 2, stdout: '', stderr: printed })
  expect(await merchantProcess(['--help'], { url: '' })).toEqual({ code: 0, stdout: printed, stderr: '' })
})

test('an unreachable database is one line', async () => {
  const url = 'postgresql://user:topsecret@127.0.0.1:1/nowhere'
  const away = openDatabase({ url, applicationName: 'test', log })
  for (const args of [['list'], ['create', '--name', 'Acme', '--email', email], ['activate', email]]) {
    const outcome = await merchant(args, { on: away })
    expect(outcome).toEqual(problem('The database is unreachable or too slow'))
    expect(JSON.stringify(outcome)).not.toContain('topsecret')
  }
  await away.close()
  const missing = Object.assign(new URL(database.url), { pathname: '/nowhere' }).href
  expect(await merchantProcess(['list'], { url: missing })).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^[^\n]*nowhere[^\n]*\n$/),
  })
  const unset = await merchantProcess(['list'], { url: '' })
  expect(unset).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('DATABASE_URL must be set'),
  })
})
