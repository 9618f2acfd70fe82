// The rules behind `npm run house` find each broken rule, and accept correct code.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { badHeader, longFunctions, longSentences, replacedWords } from './house-rules.mjs'

test.each([
  ['// Nobody waits.', 'nobody'],
  ['const whoever = 1', 'whoever, whatever, whichever'],
  ['if (willRing(id)) return', 'ring, rung, bell'],
  ['const merchantOfBell = id', 'ring, rung, bell'],
  ['import { tellChanged } from "./tell.ts"', 'tell, told'],
  ['lookAgainInMs: 5', 'look again'],
  ['the statement is made again', 'made again'],
  ['// as SPEC 4.2 demands', 'SPEC n'],
  ["// the seed's routes", "the seed's"],
  ['const followUpJob = 1', 'follow up'],
  ['const nextAnswer = 1', 'answer'],
  ['createRedeliveryWatch()', 'redeliver'],
  ['countRedeliveries(again)', 'redeliver'],
  ['// the work is finished', 'finish'],
  ['const finishJob = 1', 'finish'],
])('a replaced word is found: %s', (line, what) => {
  expect(replacedWords('packages/core/src/x.ts', `\n${line}\n`)).toEqual([{ line: 2, what }])
})

test.each([
  ['packages/core/src/x.ts', 'const string = during(spring)'],
  ['packages/core/src/x.ts', 'select followed_up_at from payment_events'],
  ['packages/core/src/x.test.ts', 'async ({ onTestFinished }) => onTestFinished(stop)'],
  ['packages/core/src/x.ts', "response.once('finish', end)"],
  ['packages/core/src/x.ts', 'SELECT finished_at FROM _prisma_migrations'],
  ['packages/embedded-postgres/src/x.ts', "const accounts = ['postgres', 'nobody']"],
  ['apps/dashboard/src/x.css', '/* a ring around it */'],
  ['prisma/migrations/1_x/migration.sql', '-- rung for'],
  ['docs/glossary.md', '| enqueue | add a job | `enqueue.ts` | ring, bell |'],
])('a word is right in its place: %s: %s', (file, line) => {
  expect(replacedWords(file, line)).toEqual([])
})

test('a line with two replaced words is two places, and a glossary outside its table is no exception', () => {
  expect(replacedWords('docs/glossary.md', 'Nobody rings.').map(({ what }) => what)).toEqual([
    'nobody',
    'ring, rung, bell',
  ])
})

const body = (lines: number, indent = '  ') => `${indent}step()\n`.repeat(lines)

test.each([
  ['a function', `export async function load() {\n${body(59)}}\n`, 'load', 61],
  ['an arrow', `const load = (id: string) => {\n${body(59)}}\n`, 'load', 61],
  ['a signature over several lines', `function load(\n  id: string,\n): void {\n${body(57)}}\n`, 'load', 61],
  ['a method', `const it = {\n  async load(id) {\n${body(59, '    ')}  },\n}\n`, 'load', 61],
  ['a test', `test('it loads', async () => {\n${body(59)}})\n`, 'it loads', 61],
])('a function over 60 lines is found: %s', (_, text, name, size) => {
  const [place, ...others] = longFunctions(text)
  expect(others).toEqual([])
  expect(place?.size).toBe(size)
  expect(place?.what).toContain(name)
})

test.each([
  ['a function of 60 lines', `function load() {\n${body(58)}}\n`],
  ['a describe block', `describe('loads', () => {\n${body(90)}})\n`],
  ['an object', `const it = {\n${body(90)}}\n`],
  ['a condition', `if (\n  first(a) &&\n  second(b)\n) {\n${body(90)}}\n`],
  ['an interface', `interface Deps {\n${body(90)}}\n`],
])('what is no long function is left alone: %s', (_, text) => {
  expect(longFunctions(text)).toEqual([])
})

test('a header is the first line, and one sentence of at most 120 characters', () => {
  expect(badHeader('// Reads orders.\nimport x from "x"\n')).toEqual([])
  expect(badHeader('#!/usr/bin/env node\n// Reads orders.\n')).toEqual([])
  expect(badHeader(`// Reads orders. ${'More about them. '.repeat(20)}\n`)).toEqual([])
  expect(badHeader('import x from "x"\n// Reads orders.\n')).toEqual([{ line: 1, what: 'no header' }])
  expect(badHeader(`// Reads ${'many '.repeat(30)}orders.\n`)).toEqual([
    { line: 1, what: 'header of 163 characters', size: 163 },
  ])
})

const words = (count: number) => `${'word '.repeat(count - 1)}end.`

test('a sentence over 25 words is found in comments, test names and Markdown', () => {
  const sizes = (file: string, text: string) =>
    longSentences(file, text).map(({ line, size }) => [line, size])
  expect(sizes('x.ts', `const a = 1\n// ${words(26)}\n`)).toEqual([[2, 26]])
  expect(sizes('x.ts', `/**\n * ${words(13)}\n * Then ${words(25)}\n */\n`)).toEqual([[1, 26]])
  expect(sizes('x.ts', `test('${words(26)}', async () => {\n})\n`)).toEqual([[1, 26]])
  expect(sizes('x.md', `# Title\n\n- ${words(20)}\n- ${words(26)}\n`)).toEqual([[4, 26]])
  expect(sizes('x.ts', `// ${words(25)} And ${words(24)}\n`)).toEqual([])
  expect(sizes('x.md', `\`\`\`\n${words(40)}\n\`\`\`\n| ${words(20)} | ${words(20)} |\n`)).toEqual([])
  expect(
    sizes('x.md', `[${words(20)}](there.md) is ${words(20)} \`a b c d e f g\` counts as one.\n`),
  ).toEqual([])
})

test('the command counts a checkout, lists the places, and exits with 1 by --strict when a word is replaced', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-house-'))
  const run = (...args: string[]) => {
    const command = [path.join(import.meta.dirname, 'house-report.mjs'), folder, ...args]
    return spawnSync(process.execPath, command, { encoding: 'utf8' })
  }
  try {
    execFileSync('git', ['init', '--quiet', folder])
    writeFileSync(path.join(folder, 'x.ts'), '// Reads orders; nobody waits.\n')
    execFileSync('git', ['-C', folder, 'add', '.'])
    expect(run().status).toBe(0)
    expect(run().stdout).toMatch(/^ {5}1 {2}words that the glossary replaces: nobody 1$/m)
    expect(run('--list').stdout).toContain('x.ts:1  nobody')
    expect(run('--strict').status).toBe(1)
    writeFileSync(path.join(folder, 'x.ts'), '// Reads orders; no caller waits.\n')
    expect(run('--strict').status).toBe(0)
    // The longest function and file show even when none is too long.
    writeFileSync(path.join(folder, 'x.ts'), `// Loads.\nfunction load() {\n${body(3)}}\n`)
    expect(run().stdout).toMatch(
      /^ {5}0 {2}functions over 60 lines, tests apart: longest 5, load \(x\.ts:2\)$/m,
    )
    expect(run().stdout).toMatch(
      /^ {5}0 {2}files over 300 lines, tests apart: longest 6, 6 lines \(x\.ts:1\)$/m,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
