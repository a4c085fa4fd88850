/** Loads the target whenever something has changed, and runs it unless it was the last one that ran. */

export interface Loop<Target> {
  /** Loads the current target. */
  readonly load: () => Promise<Target>
  readonly isSame: (one: Target, other: Target) => boolean
  /**
   * Runs the target, and ends soon after `signal` is aborted. Whatever it throws has already been shown.
   * @param fail reports that it has failed, even if it goes on
   */
  readonly run: (target: Target, fail: () => void, signal: AbortSignal) => Promise<void>
  /** Shows why nothing could be loaded. */
  readonly onFault: (error: unknown) => void
}

/** Lets a caller wait for the next of a series of events. */
export interface Bell {
  readonly ring: () => void
  /** Resolves when it next rings. */
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
 * Runs until `signal` is aborted and everything that it started has ended.
 * @param changed rings when something may have changed
 * @throws the reason of `signal`, or what the first load throws, since nobody has changed anything at that point
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

/** What failed may not fail again: saving its files again asks for another attempt. */
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
