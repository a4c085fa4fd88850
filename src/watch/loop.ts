/** Loads what is to be done whenever something has changed, and does it unless that is what was done last. */

export interface Loop<Target> {
  /** What is to be done now. */
  readonly load: () => Promise<Target>
  readonly isSame: (one: Target, other: Target) => boolean
  /**
   * Does it, and ends soon after `signal` is aborted. Whatever it throws has been shown.
   * @param fail says that it has failed, even if it goes on
   */
  readonly run: (target: Target, fail: () => void, signal: AbortSignal) => Promise<void>
  /** Shows why nothing could be loaded. */
  readonly onFault: (error: unknown) => void
}

/** Lets one wait for the next of events. */
export interface Bell {
  readonly ring: () => void
  /** Resolves when it rings the next time. */
  readonly next: () => Promise<void>
}

export function createBell(): Bell {
  let waiting: (() => void)[] = []
  return {
    ring: () => {
      for (const resolve of waiting.splice(0)) resolve()
    },
    next: () =>
      new Promise((resolve) => {
        waiting = [...waiting, resolve]
      }),
  }
}

interface Running<Target> {
  readonly target: Target
  readonly hasFailed: () => boolean
  readonly stop: () => Promise<void>
}

/**
 * Runs until `signal` is aborted, and what it has begun has ended.
 * @param changed rings when something may have changed
 * @throws the reason of `signal`, or what the first load throws: nobody has changed anything yet
 */
export async function runOnChanges<Target>(
  loop: Loop<Target>,
  changed: Bell,
  signal: AbortSignal,
): Promise<never> {
  const ended = new Promise<void>((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  let running: Running<Target> | undefined
  for (let isFirst = true; ; isFirst = false) {
    // Before loading, which takes a moment in which something may change again.
    const next = changed.next()
    const target = isFirst ? await loop.load() : await loaded(loop)
    if (target !== undefined && !signal.aborted && isNews(target, running, loop)) {
      await running?.stop()
      if (!signal.aborted) running = start(target, loop)
    }
    if (!signal.aborted) await Promise.race([next, ended])
    if (signal.aborted) {
      await running?.stop()
      throw signal.reason
    }
  }
}

/** What failed may not fail again: saving its files once more is asking for that. */
function isNews<Target>(
  target: Target,
  running: Running<Target> | undefined,
  { isSame }: Loop<Target>,
): boolean {
  return running === undefined || running.hasFailed() || !isSame(running.target, target)
}

async function loaded<Target>({ load, onFault }: Loop<Target>): Promise<Target | undefined> {
  try {
    return await load()
  } catch (error) {
    onFault(error)
    return undefined
  }
}

function start<Target>(target: Target, { run }: Loop<Target>): Running<Target> {
  const stopping = new AbortController()
  let failed = false
  const fail = () => {
    failed = true
  }
  const done = run(target, fail, stopping.signal).catch(fail)
  return {
    target,
    hasFailed: () => failed,
    stop: async () => {
      stopping.abort()
      await done
    },
  }
}
