/** Work that is started now and awaited later. */

/**
 * A failure shows where the promise is awaited. Without this, Node ends the whole process if it fails before, or if nothing
 * awaits it after an earlier failure.
 * @returns the promise itself
 */
export function awaitedLater<Started extends Promise<unknown>>(started: Started): Started {
  started.catch(() => undefined)
  return started
}
