// The measures behind `npm run house`: pure functions from a file's text to the places that break a rule.

/** @typedef {{ line: number, what: string, size?: number }} Place */

/** Words that the glossary replaces, in any case and in any part of a compound identifier. */
const WORDS = new Map([
  ['nobody', /\b(nobody|nobodies)\b/],
  ['somebody, anybody, everybody', /\b(somebody|anybody|everybody)\b/],
  ['whoever, whatever, whichever', /\b(whoever|whomever|whatever|whichever)\b/],
  ['ring, rung, bell', /\b(ring|rings|rang|rung|ringing|ringer|ringers|bell|bells)\b/],
  ['tell, told', /\b(tell|tells|told|telling)\b/],
  ['wish', /\b(wish|wishes)\b/],
  ['manner', /\bmanners?\b/],
  ['chore', /\bchores?\b/],
  ['moment', /\bmoments?\b/],
  ['books', /\bbooks\b/],
  ['payment provider', /\bpayment providers?\b/],
  ['made again', /\bmade again\b/],
  ['look again', /\blook(s|ed|ing)? again\b/],
  ['follow up', /\bfollow(s|ed|ing)? ups?\b/],
  ['answer', /\b(answer|answers|answered|answering)\b/],
  ['redeliver', /\bredeliver(y|ies|s|ed|ing)?\b/],
  ['finish', /\bfinish(es|ed|ing)?\b/],
  ['he', /\b(he|him|his|himself)\b/],
  ['SPEC n', /\bspec \d/],
  ["the seed's", /\bseed ?['’]s\b/],
])

/** Uses that are right: quotations, names of others, files that are never edited. */
const ALLOWED = [
  { file: /^prisma\/migrations\// },
  { file: /^packages\/core\/src\/generated\// },
  { file: /^tools\/house-(rules\.mjs|report\.mjs|rules\.test\.ts)$/ },
  // The glossary quotes the words that it replaces, in its table's last column.
  { file: /^docs\/glossary\.md$/, text: /^\|/ },
  // The system user `nobody`, which the embedded PostgreSQL may run as.
  { text: /['`"]nobody['`"]/, word: 'nobody' },
  // The column keeps its name until the schema changes.
  { text: /followed_?up_?at/i, word: 'follow up' },
  // Names of others: Vitest's hook, Node.js's event and property of a response, an animation's promise, Prisma's column.
  {
    text: /\b[oO]nTestFinished\b|'finish'|\bwritableFinished\b|\(\{ finished \}\) => finished|\bfinished_at\b/,
    word: 'finish',
  },
  // A name server answers questions; the simulated bank's answer is a column of payments and refunds.
  { text: /\b(dns|server|nameServer)\.answer\(|DnsAnswer|bank_?answer|bank's answer/i, word: 'answer' },
  { file: /^packages\/testing\/src\/dns-server\.ts$/, word: 'answer' },
  // CSS draws a ring, a line around what has the focus.
  { file: /\.css$/, word: 'ring, rung, bell' },
]

const isAllowed = (file, text, word) =>
  ALLOWED.some(
    (use) =>
      (use.file?.test(file) ?? true) &&
      (use.text?.test(text) ?? true) &&
      (use.word === undefined || use.word === word),
  )

/** `willRing` and `ring_now` as words: "will ring", "ring now", in lower case. */
const asWords = (text) =>
  text
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[_-]/g, ' ')
    .toLowerCase()

/**
 * Lines with a word that the glossary replaces; a line with two such words is two places.
 * @param {string} file the path in the checkout
 * @param {string} text
 * @returns {Place[]}
 */
export function replacedWords(file, text) {
  return text.split('\n').flatMap((line, index) => {
    const words = asWords(line)
    return [...WORDS]
      .filter(([word, pattern]) => pattern.test(words) && !isAllowed(file, line, word))
      .map(([word]) => ({ line: index + 1, what: word }))
  })
}

/**
 * Functions of more than `linesMax` lines. Reads the indentation of formatted code: a function ends at the first line
 * that begins with `}` at the indentation of its first line. Blocks of `describe` are no functions.
 * @param {string} text
 * @returns {Place[]} `size` is the number of lines
 */
export function longFunctions(text, linesMax = 60) {
  const lines = text.split('\n')
  const places = []
  lines.forEach((line, index) => {
    if (!line.endsWith('{')) return
    const indent = indentOf(line)
    const first = firstLineOf(lines, index, indent)
    const start = lines[first].trim()
    if (!isFunction(start, line) || /^describe\b/.test(start)) return
    const end = lines.findIndex(
      (later, at) => at > index && later.startsWith('}', indent) && indentOf(later) === indent,
    )
    const size = end - first + 1
    if (end !== -1 && size > linesMax) places.push({ line: first + 1, what: nameOf(start), size })
  })
  return places
}

const indentOf = (line) => line.length - line.trimStart().length

/** Of a signature over several lines, which ends in `) {` or `}) => {`: where it begins. */
function firstLineOf(lines, index, indent) {
  let first = index
  while (first > 0 && (/^[)}\]]/.test(lines[first].trim()) || indentOf(lines[first]) !== indent)) first--
  return first
}

const CONTROL = /^(\} )?(if|else|for|while|do|switch|try|catch|finally|return|throw|new|await)\b/
const isFunction = (start, line) =>
  /=> \{$/.test(line) ||
  /^(export )?(default )?(async )?function\b/.test(start) ||
  (!CONTROL.test(start) &&
    /^((async|static|get|set|override|private) )*[*#]?[\w$]+(<.*>)?\(/.test(start) &&
    /\)(: .+)? \{$/.test(line))

const nameOf = (start) =>
  (/function\*? ([\w$]+)/.exec(start) ??
    /^(?:test|it|beforeAll|afterAll|beforeEach|afterEach)[\w.]*\(\s*[`'"]?(.{1,60})/.exec(start) ??
    /(?:const|let) ([\w$]+)/.exec(start) ??
    /^(?:async )?#?([\w$]+)\s*[(:=]/.exec(start) ?? [undefined, start.slice(0, 60)])[1]

/**
 * The header of a source file: its first line is a comment, whose first sentence has at most `charactersMax` characters.
 * @param {string} text
 * @returns {Place[]}
 */
export function badHeader(text, charactersMax = 120) {
  const header = commentsOf(text.replace(/^#!.*\n/, '// \n'))[0]
  const isFirst = /^(#!.*\n)?(\/\/|\/\*)/.test(text)
  if (!isFirst || header === undefined) return [{ line: 1, what: 'no header' }]
  const [sentence = ''] = sentencesOf(header.text)
  return sentence.length > charactersMax
    ? [{ line: 1, what: `header of ${sentence.length} characters`, size: sentence.length }]
    : []
}

/**
 * Sentences of more than `wordsMax` words in comments, test names and Markdown. Code in backticks and links count as
 * one word each.
 * @param {string} file
 * @param {string} text
 * @returns {Place[]} `size` is the number of words
 */
export function longSentences(file, text, wordsMax = 25) {
  const blocks = file.endsWith('.md') ? paragraphsOf(text) : [...commentsOf(text), ...testNamesOf(text)]
  return blocks.flatMap(({ line, text: block }) =>
    sentencesOf(block)
      .map((sentence) => ({
        line,
        what: sentence.replaceAll(/\s+/g, ' ').slice(0, 80),
        size: wordsIn(sentence),
      }))
      .filter(({ size }) => size > wordsMax),
  )
}

const sentencesOf = (text) =>
  text
    .replaceAll(/`[^`]*`/g, (code) => code.replaceAll(/[.!?]/g, '_').replaceAll(/\s+/g, '_'))
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, (_, label) => `§${label.replaceAll(/\s+/g, '_')}`)
    .split(/(?<=[.!?]["”)]?)\s+(?=["“(]?[A-Z`0-9@…§])|\n{2,}/)
    .map((sentence) => sentence.trim())

const wordsIn = (sentence) => sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length

/** Comments with the line that each begins on; lines of `//` that follow each other are one comment. */
function commentsOf(text) {
  const comments = []
  let block
  const end = () => {
    if (block !== undefined) comments.push(block)
    block = undefined
  }
  let isJsDoc = false
  text.split('\n').forEach((line, index) => {
    const trimmed = line.trim()
    const slashes = /^\/\/ ?(.*)$/.exec(trimmed)
    if (!isJsDoc && slashes) {
      block ??= { line: index + 1, text: '' }
      block.text += `${slashes[1]}\n`
      return
    }
    if (!isJsDoc) end()
    if (!isJsDoc && trimmed.startsWith('/*')) {
      isJsDoc = true
      block = { line: index + 1, text: '' }
    }
    if (!isJsDoc) return
    const content = trimmed
      .replace(/^\/?\*+\/?/, '')
      .replace(/\*\/.*$/, '')
      .trim()
    block.text += content.startsWith('@') ? `\n\n${content}\n` : `${content}\n`
    if (trimmed.endsWith('*/')) {
      isJsDoc = false
      end()
    }
  })
  end()
  return comments
}

function testNamesOf(text) {
  return text.split('\n').flatMap((line, index) => {
    const name = /^\s*(?:(?:test|it|describe)\b.*\(|\]\)\()?(["'`])((?:(?!\1).){15,})\1,(?: |$)/.exec(line)
    return name ? [{ line: index + 1, text: name[2] }] : []
  })
}

/** Paragraphs, list items and table cells of Markdown, without its code blocks. */
function paragraphsOf(text) {
  const paragraphs = []
  let block
  let isCode = false
  text.split('\n').forEach((line, index) => {
    if (/^\s*```/.test(line)) isCode = !isCode
    const isText = !isCode && !/^\s*(```|#|$)/.test(line)
    if (!isText || /^\s*([-*|]|\d+\.) ?/.test(line)) block = undefined
    if (!isText) return
    if (line.startsWith('|')) {
      for (const cell of line.split('|')) paragraphs.push({ line: index + 1, text: cell.trim() })
      return
    }
    if (block === undefined) {
      block = { line: index + 1, text: '' }
      paragraphs.push(block)
    }
    block.text += `${line.trim()}\n`
  })
  return paragraphs
}
