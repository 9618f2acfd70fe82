// Where the operator's tool gets a password from: the terminal, without showing it, or one line of standard input.
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { SluiceError } from '../platform/errors.ts'

/**
 * The password that is typed, twice the same, or piped in.
 * @throws SluiceError BAD_REQUEST_ERROR when the two differ, or the input ends before there is one
 */
export async function readPassword(stdin: NodeJS.ReadStream, stderr: NodeJS.WriteStream): Promise<string> {
  if (!stdin.isTTY) {
    for await (const line of createInterface({ input: stdin })) return line
    throw noPassword()
  }
  // Taking the terminal over makes readline the one that echoes, and it does so into nothing.
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
    if ((await ask('The same again: ')) === password) return password
    throw new SluiceError('BAD_REQUEST_ERROR', 'the two passwords differ; nothing was changed')
  } finally {
    lines.close()
  }
}

const noPassword = () => new SluiceError('BAD_REQUEST_ERROR', 'no password was given; nothing was changed')
