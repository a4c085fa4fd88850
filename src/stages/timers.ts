/** Timers by name. */

export interface Timers {
  readonly start: (id: string, seconds: number) => void
  readonly clear: (id: string) => void
  readonly clearAll: () => void
}

export function createTimers(onFired: (id: string) => void): Timers {
  const running = new Map<string, NodeJS.Timeout>()
  const clear = (id: string): void => {
    clearTimeout(running.get(id))
    running.delete(id)
  }
  return {
    start: (id, seconds) => {
      clear(id)
      running.set(
        id,
        setTimeout(() => {
          running.delete(id)
          onFired(id)
        }, seconds * 1000),
      )
    },
    clear,
    clearAll: () => {
      for (const id of [...running.keys()]) clear(id)
    },
  }
}
