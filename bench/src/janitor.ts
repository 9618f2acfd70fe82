// Undoes what the benchmark started, newest first and each thing once, whether a run ends, fails or is interrupted.

type Task = () => Promise<unknown> | unknown

export class Janitor {
  #tasks: Task[] = []
  #cleaning: Promise<void> | undefined

  /**
   * Register a thing while it is being started, not after, so that a Ctrl-C in between finds it.
   * The answer does it now, at most once; later calls wait for the first.
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
