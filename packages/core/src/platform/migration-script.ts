// Finds in a migration's SQL what cannot be part of one transaction, so that a script and its record stay together.

/** Parts whose words are no keywords: comments, strings, quoted names, dollar-quoted bodies, bodies in standard SQL. */
const NO_KEYWORDS = [
  /--[^\n]*|\/\*[\s\S]*?\*\/|\bE'(?:\\[\s\S]|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|\$(\w*)\$[\s\S]*?\$\1\$/gi,
  /\bBEGIN\s+ATOMIC\b[\s\S]*?;\s*END\b/gi,
]

/** END and ABORT are PostgreSQL's other words for COMMIT and ROLLBACK. */
const TRANSACTION_CONTROL =
  /^(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b/i

/** Returns the first words of `sql` that control a transaction or cannot run within one; undefined if there are none. */
export function outsideTransaction(sql: string): string | undefined {
  const plain = NO_KEYWORDS.reduce((text, part) => text.replace(part, ' '), sql)
  for (const statement of plain.split(';').map((text) => text.trim())) {
    const [control] = TRANSACTION_CONTROL.exec(statement) ?? []
    if (control !== undefined) return control.toUpperCase()
    // A materialized view can be refreshed CONCURRENTLY within a transaction; no index can be built so.
    if (/\bCONCURRENTLY\b/i.test(statement) && !/^REFRESH\b/i.test(statement)) return 'CONCURRENTLY'
  }
  return undefined
}
