// A failure whose message is enough for the user of `npm start`; other errors are defects and print their stack.
export class LaunchError extends Error {
  override readonly name = 'LaunchError'
}
