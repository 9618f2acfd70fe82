// A failure that its one line explains to whoever ran `npm start`; anything else is a defect and shows its stack.
export class LaunchError extends Error {
  override readonly name = 'LaunchError'
}
