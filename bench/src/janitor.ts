// Cleans up after a run, newest task first and each once, whether the run ends, fails or is interrupted.

type Task = () => Promise<unknown> | unknown

export class Janitor {
  #tasks: Task[] = []
  #cleaning: Promise<void> | undefined

  /**
   * Registers a clean-up task. Call it while the thing starts, not after, so that a Ctrl-C in between finds it.
   * The returned function runs the task now, at most once; later calls wait for the first.
   */
  defer(task: Task): () => Promise<void> {
    let done: Promise<void> | undefined
    const once = () => {
      this.#tasks = this.#tasks.filter((other) => other !== once)
      done ??= Promise.resolve()
        .then(task)
        .then(() => {})
      return done
    }
    this.#tasks.push(once)
    if (this.#cleaning) {
      void once().catch(() => {})
      throw new Error('Interrupted')
    }
    return once
  }

  clean(): Promise<void> {
    this.#cleaning ??= this.#cleanAll()
    return this.#cleaning
  }

  async #cleanAll(): Promise<void> {
    for (let task = this.#tasks.at(-1); task; task = this.#tasks.at(-1)) {
      try {
        await task()
      } catch (error) {
        console.error('Cleaning up:', error)
      }
    }
  }
}
