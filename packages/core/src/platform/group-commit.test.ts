// Group commit: results, limits, errors and keys, by properties and by example.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createGroupCommit, type GroupCommitOptions } from './group-commit.ts'

const options = (over: Partial<GroupCommitOptions<string, string>>): GroupCommitOptions<string, string> => ({
  commit: async (rows) => rows.map((row) => `${row}!`),
  sizeBytes: (row) => row.length,
  rowsPerCommitMax: 10,
  bytesPerCommitMax: 1000,
  waitingRowsMax: 1000,
  waitingBytesMax: 100_000,
  concurrentCommitsMax: 2,
  deadlineMs: 500,
  ...over,
})

const sqlError = (code: string) => Object.assign(new Error(code), { code })

test('every row gets its own result, in any grouping, within the limits', async () => {
  const rows = fc.array(fc.string({ minLength: 1, maxLength: 30 }), { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(
      rows,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 60 }),
      async (input, perCommit, bytes) => {
        let inFlight = 0
        const group = createGroupCommit(
          options({
            rowsPerCommitMax: perCommit,
            bytesPerCommitMax: bytes,
            commit: async (batch) => {
              expect(++inFlight).toBeLessThanOrEqual(2)
              expect(batch.length).toBeLessThanOrEqual(perCommit)
              if (batch.length > 1) expect(batch.join('').length).toBeLessThanOrEqual(bytes)
              await new Promise((resolve) => setImmediate(resolve))
              inFlight--
              return batch.map((row) => `${row}!`)
            },
          }),
        )
        expect(await Promise.all(input.map(group.submit))).toEqual(input.map((row) => `${row}!`))
        await group.drain()
      },
    ),
  )
})

test('rows that arrive together share one commit', async () => {
  const sizes: number[] = []
  const group = createGroupCommit(
    options({
      commit: async (rows) => {
        sizes.push(rows.length)
        return rows
      },
    }),
  )
  await Promise.all(['a', 'b', 'c'].map(group.submit))
  expect(sizes).toEqual([3])
})

test('a bad row fails alone, found in few commits', async () => {
  let commits = 0
  const group = createGroupCommit(
    options({
      rowsPerCommitMax: 1000,
      commit: async (rows) => {
        commits++
        if (rows.includes('bad')) throw sqlError('22021')
        return rows
      },
    }),
  )
  const rows = Array.from({ length: 1000 }, (_, n) => (n === 317 ? 'bad' : `row ${n}`))
  const results = await Promise.allSettled(rows.map(group.submit))
  expect(results.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))).toEqual([317])
  expect(commits).toBeLessThan(25)
})

test('a deadlock is retried; another failure rejects the whole group', async () => {
  let tries = 0
  const deadlocking = createGroupCommit(
    options({
      commit: async (rows) => {
        if (++tries < 3) throw sqlError('40P01')
        return rows
      },
    }),
  )
  expect(await deadlocking.submit('a')).toBe('a')
  const failing = createGroupCommit(options({ commit: () => Promise.reject(sqlError('57P01')) }))
  const results = await Promise.allSettled(['a', 'b'].map(failing.submit))
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected'])
})

test('with a server that never responds, rows in flight and waiting are rejected at their deadline', async () => {
  const group = createGroupCommit(
    options({ commit: () => new Promise(() => {}), concurrentCommitsMax: 1, deadlineMs: 200 }),
  )
  const startedAt = performance.now()
  const first = group.submit('in flight')
  await new Promise((resolve) => setImmediate(resolve))
  const results = await Promise.allSettled([first, group.submit('waiting')])
  expect(performance.now() - startedAt).toBeLessThan(1000)
  for (const result of results) expect(result).toMatchObject({ reason: { code: 'SERVICE_UNAVAILABLE' } })
})

test('rows beyond the limits of waiting rows are refused at once', async () => {
  const group = createGroupCommit(
    options({ commit: () => new Promise(() => {}), waitingRowsMax: 2, waitingBytesMax: 10, deadlineMs: 100 }),
  )
  const kept = [group.submit('a'), group.submit('b')]
  await expect(group.submit('c')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  const bytes = createGroupCommit(options({ commit: () => new Promise(() => {}), waitingBytesMax: 10 }))
  await expect(bytes.submit('longer than ten')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' })
  await Promise.allSettled(kept)
})

test('rows with one key are in one commit at a time and keep their order; others do not wait for them', async () => {
  const someRows = fc.array(fc.constantFrom('a', 'b', 'c', 'dd', 'eeeeeeeee'), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(
      someRows,
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 30 }),
      async (keys, perCommit, bytes) => {
        const busy = new Set<string>()
        const committed = new Map<string, number[]>()
        const group = createGroupCommit<[string, number], number>({
          ...options({}),
          sizeBytes: ([key]) => key.length,
          keyOf: ([key]) => key,
          rowsPerCommitMax: perCommit,
          bytesPerCommitMax: bytes,
          concurrentCommitsMax: 3,
          commit: async (rows) => {
            const mine = new Set(rows.map(([key]) => key))
            for (const key of mine) {
              expect(busy.has(key)).toBe(false)
              busy.add(key)
            }
            for (const [key, n] of rows) committed.set(key, [...(committed.get(key) ?? []), n])
            for (let turns = Math.random() * 4; turns > 0; turns--)
              await new Promise((resolve) => setImmediate(resolve))
            for (const key of mine) busy.delete(key)
            return rows.map(([, n]) => n)
          },
        })
        const rows = keys.map((key, n): [string, number] => [key, n])
        expect(await Promise.all(rows.map(group.submit))).toEqual(keys.map((_, n) => n))
        for (const order of committed.values()) expect(order).toEqual(order.toSorted((a, b) => a - b))
        expect(group.load()).toBe(0)
      },
    ),
  )
})

test('a key in flight holds up its own rows only', async () => {
  let release = () => {}
  const committed: string[] = []
  const group = createGroupCommit(
    options({
      keyOf: (row) => row[0]!,
      commit: async (rows) => {
        if (rows.includes('hot1')) await new Promise<void>((resolve) => (release = resolve))
        committed.push(...rows)
        return rows
      },
    }),
  )
  const hot = [group.submit('hot1')]
  await new Promise((resolve) => setImmediate(resolve))
  hot.push(group.submit('hot2'))
  await Promise.all([group.submit('cold'), group.submit('other')])
  expect(committed).toEqual(['cold', 'other'])
  release()
  await Promise.all(hot)
  expect(committed).toEqual(['cold', 'other', 'hot1', 'hot2'])
})
