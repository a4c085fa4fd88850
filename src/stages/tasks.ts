/** Work that goes on beside the run, and that the run must not end without. */

export interface Tasks {
  readonly add: (task: Promise<unknown>) => void
  /** Resolves when all work is over, with what was added meanwhile. Its errors are for those who added it. */
  readonly settled: () => Promise<void>
}

export function createTasks(): Tasks {
  const tasks = new Set<Promise<unknown>>()
  return {
    add: (task) => {
      const tracked = task
        .catch(() => undefined)
        .finally(() => {
          tasks.delete(tracked)
        })
      tasks.add(tracked)
    },
    settled: async () => {
      while (tasks.size > 0) await Promise.all(tasks)
    },
  }
}
