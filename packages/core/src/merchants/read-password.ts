// Reads a password for the operator's tool, from the terminal without echo, or from one line of standard input.
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { SluiceError } from '../platform/errors.ts'

/**
 * The password that the operator types twice, or that standard input contains.
 * @throws SluiceError BAD_REQUEST_ERROR when the two differ, or when the input is empty
 */
export async function readPassword(stdin: NodeJS.ReadStream, stderr: NodeJS.WriteStream): Promise<string> {
  if (!stdin.isTTY) {
    for await (const line of createInterface({ input: stdin })) return line
    throw noPassword()
  }
  // With `terminal: true` readline does the echo, and its output is discarded.
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nothing, terminal: true, historySize: 0 })
  try {
    const typed = lines[Symbol.asyncIterator]()
    const ask = async (question: string) => {
      stderr.write(question)
      const { value, done } = await typed.next()
      stderr.write('\n')
      if (done) throw noPassword() // Ctrl-C or Ctrl-D
      return value
    }
    const password = await ask('New password: ')
    if ((await ask('Repeat the password: ')) === password) return password
    throw new SluiceError('BAD_REQUEST_ERROR', 'the two passwords must be equal; nothing was changed')
  } finally {
    lines.close()
  }
}

const noPassword = () => new SluiceError('BAD_REQUEST_ERROR', 'no password was given; nothing was changed')
