/** Background work that must finish before the run ends. */

export interface Tasks {
  readonly add: (task: Promise<unknown>) => void
  /** Resolves when all work is done, including work added in the meantime. Code that adds work reports its errors itself. */
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
