// Passwords: their stored form, their check, and the equal time of all checks.
import { scryptSync } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { findUnequalDurations } from '@sluice/testing'
import { expect, test } from 'vitest'
import { hashPassword, passwordProblem, verifyPassword } from './password.ts'
import { readPassword } from './read-password.ts'

test('a password matches only its own hashes, and each hash is different', async () => {
  const [stored, again] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')])
  expect(stored).toMatch(/^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/)
  expect(again).not.toBe(stored)
  expect(await verifyPassword('correct horse', stored)).toBe(true)
  expect(await verifyPassword('correct horse', again)).toBe(true)
  for (const wrong of ['correct horsf', 'correct hors', 'Correct horse', 'correct horse ', '']) {
    expect(await verifyPassword(wrong, stored)).toBe(false)
  }
})

test('a stored hash is scrypt of its own salt and cost', async () => {
  const salt = Buffer.alloc(16, 7)
  const hash = scryptSync('correct horse', salt, 32, { N: 1024, r: 4, p: 2 })
  const stored = `scrypt$1024$4$2$${salt.toString('base64url')}$${hash.toString('base64url')}`
  expect(await verifyPassword('correct horse', stored)).toBe(true)
  expect(await verifyPassword('correct horse', stored.replace('1024', '2048'))).toBe(false)
})

test('a password with composed letters equals one with single characters', async () => {
  expect(await verifyPassword('cafe\u0301 noir', await hashPassword('caf\u00e9 noir'))).toBe(true)
})

const salt = 'A'.repeat(22)
const hash = 'A'.repeat(43)
test.each([
  ['nothing', null],
  ['an empty text', ''],
  ['the password itself', 'correct horse'],
  ['a short hash', `scrypt$32768$8$1$${salt}$AAAA`],
  ['a short salt', `scrypt$32768$8$1$AAAA$${hash}`],
  ['another algorithm', `bcrypt$32768$8$1$${salt}$${hash}`],
  ['a cost that is no power of two', `scrypt$32767$8$1$${salt}$${hash}`],
  ['no cost', `scrypt$0$8$1$${salt}$${hash}`],
  ['no block size', `scrypt$32768$0$1$${salt}$${hash}`],
  ['no parallelization', `scrypt$32768$8$0$${salt}$${hash}`],
  ['more memory than there may be', `scrypt$16777216$8$1$${salt}$${hash}`],
  ['more time than there may be', `scrypt$32768$8$17$${salt}$${hash}`],
  ['extra characters at the end', `scrypt$32768$8$1$${salt}$${hash}=`],
])('no password matches %s', async (_name, stored) => {
  expect(await verifyPassword('correct horse', stored)).toBe(false)
})

test('a check without a stored hash takes as long as one with it', async () => {
  const stored = await hashPassword('correct horse')
  const unequal = await findUnequalDurations({
    'a stored hash': () => verifyPassword('wrong horse', stored),
    'no hash': () => verifyPassword('wrong horse', null),
    'a malformed hash': () => verifyPassword('wrong horse', 'malformed'),
    'an impossible cost': () => verifyPassword('wrong horse', `scrypt$3$8$1$${salt}$${hash}`),
  })
  expect(unequal).toBeUndefined()
}, 60_000)

test('passwords have 8 to 200 characters, of any size in bytes', () => {
  expect(passwordProblem('1234567')).toContain('8 to 200 characters')
  expect(passwordProblem('🐎'.repeat(7))).toContain('8 to 200 characters')
  expect(passwordProblem('12345678')).toBeUndefined()
  expect(passwordProblem('🐎'.repeat(200))).toBeUndefined()
  expect(passwordProblem('x'.repeat(201))).toContain('8 to 200 characters')
})

test('texts of up to 1000 characters are checked, longer ones are refused', async () => {
  for (const letter of ['x', '🐎']) {
    const longest = letter.repeat(1000)
    expect(await verifyPassword(longest, await hashPassword(longest))).toBe(true)
    const longer = letter.repeat(1001)
    expect(await verifyPassword(longer, await hashPassword(longer))).toBe(false)
  }
})

/** A fake terminal for readline. */
function terminal() {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const stderr = new PassThrough({ encoding: 'utf8' })
  const asked = readPassword(
    stdin as unknown as NodeJS.ReadStream,
    stderr as unknown as NodeJS.WriteStream,
  ).catch((error: Error) => error)
  return { stdin, stderr, asked }
}

test('a password is typed twice and not shown', async () => {
  const { stdin, stderr, asked } = terminal()
  stdin.write('correct horse\rcorrect horse\r')
  expect(await asked).toBe('correct horse')
  expect(stderr.read()).toBe('New password: \nRepeat the password: \n')
})

test.each([
  ['typed differently', 'correct horse\rcorrect hose\r', 'must be equal'],
  ['cancelled with Ctrl-C', 'correct\u0003', 'no password'],
  ['cancelled with Ctrl-D', '\u0004', 'no password'],
])('a password that is %s is refused', async (_name, typed, problem) => {
  const { stdin, asked } = terminal()
  stdin.write(typed)
  expect(await asked).toMatchObject({ message: expect.stringContaining(problem) })
})
