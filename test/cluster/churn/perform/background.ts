// What goes on beside the steps: work that takes as long as it takes, and states such as a fault or a partition that end by
// themselves after a while, or before when the cluster is to come to rest.

export class Background {
  readonly #tasks = new Set<Promise<void>>()
  readonly #endings = new Set<() => void>()
  #problem: Error | null = null

  /** @throws what went wrong in the background, once it has */
  check(): void {
    if (this.#problem !== null) throw this.#problem
  }

  /** Work beside the steps; its failure is told by {@link check}. */
  run(work: Promise<unknown>): void {
    const task: Promise<void> = work
      .then(
        () => undefined,
        (error: unknown) => {
          this.#problem ??= error instanceof Error ? error : new Error(String(error))
        },
      )
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** @returns what ends the state before its time; `end` is called once in any case */
  lasting(forMs: number, end: () => void): () => void {
    const once = (): void => {
      if (!this.#endings.delete(once)) return
      clearTimeout(timer)
      end()
    }
    const timer = setTimeout(once, forMs)
    this.#endings.add(once)
    return once
  }

  /** End all states now, and wait for all work. @throws as {@link check} */
  async rest(): Promise<void> {
    for (const end of [...this.#endings]) end()
    await Promise.all(this.#tasks)
    this.check()
  }
}
