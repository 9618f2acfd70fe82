// The documents agree with the repository: links, cited paths, npm scripts and environment variables exist.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { variables } from '../packages/core/src/platform/config.ts'

const root = path.resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '' && existsSync(path.join(root, file)))
const documents = tracked.filter((file) => file.endsWith('.md'))

const withoutCodeBlocks = (text: string) => text.replaceAll(/^```[\s\S]*?^```$/gm, '')
const matchesOf = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match]) => match!)

/** The anchors that GitHub makes of a document's headings. */
const anchorsOf = (file: string) =>
  matchesOf(withoutCodeBlocks(read(file)), /^#+ (.*)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

test.each(documents)(
  'every relative link of %s leads to a file, and to a heading where it names one',
  (file) => {
    const links = matchesOf(withoutCodeBlocks(read(file)), /\]\(([^)\s]+)\)/g)
    const broken = links
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [target = '', anchor] = link.split('#')
        const linked = target === '' ? file : path.join(path.dirname(file), target)
        if (!existsSync(path.join(root, linked))) return true
        return anchor !== undefined && !anchorsOf(linked).includes(anchor)
      })
    expect(broken).toEqual([])
  },
)

test.each(documents)('every path that %s cites in code exists', (file) => {
  const paths = matchesOf(
    read(file),
    /(?<![\w./@$~-])((?:packages|apps|tools|docs|bench|prisma)\/[\w./-]*\w)(?![\w/*{<…])/g,
  )
  const built = /\/(dist|results)\//
  expect(paths.filter((cited) => !built.test(cited) && !existsSync(path.join(root, cited)))).toEqual([])
})

test('every decision that a tracked file cites by its path exists', () => {
  const text = tracked.filter((file) => /\.(ts|tsx|mjs|md|yml|json|sql|prisma)$/.test(file)).map(read)
  const cited = new Set(text.flatMap((source) => matchesOf(source, /docs\/decisions\/(\d{4}[\w.-]*)/g)))
  const decisions = tracked
    .filter((file) => /^docs\/decisions\/\d{4}/.test(file))
    .map((file) => path.basename(file))
  const known = (name: string) =>
    decisions.some((decision) => decision === name || decision.startsWith(`${name}-`))
  expect([...cited].map((name) => name.replace(/\.$/, '')).filter((name) => !known(name))).toEqual([])
})

test('the list of decisions names each decision, by its title', () => {
  const decisions = tracked.filter((file) => /^docs\/decisions\/\d{4}/.test(file))
  const listed = read('docs/decisions/README.md')
  for (const file of decisions) {
    const [number, title] = /^# (\d{4}): (.*)$/m.exec(read(file))!.slice(1)
    expect(listed).toContain(`| [${number}](${path.basename(file)}) | ${title} |`)
  }
})

test.each(documents)('every npm script that %s names exists', (file) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = matchesOf(read(file), /npm run ([\w:]+)/g)
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
})

/** Variables of other programs: Node, compose, Docker, OpenTelemetry, Prisma, the receiver. */
const OTHERS = [
  'NODE_ENV',
  'BIND',
  'EXTRA_WORKERS',
  'NETWORK_PREFIX',
  'POSTGRES_PASSWORD',
  'WEBHOOK_SECRET',
  'PRISMA_SCHEMA_ENGINE_BINARY',
]

test('every environment variable in the operations guide and the README is one that a program reads', () => {
  const known = new Set<string>([...variables, ...OTHERS])
  for (const file of ['README.md', 'docs/operations.md', 'docs/security.md', 'docs/api.md']) {
    const named = matchesOf(read(file), /\b([A-Z]{2,}(?:_[A-Z]+)+|HOST|PORT|SANDBOX)(?==|`)/g)
    expect(
      named.filter((name) => !known.has(name)),
      file,
    ).toEqual([])
  }
})
