/** Work that starts now and is awaited later. */

/**
 * A failure surfaces where the promise is awaited. Without this, Node ends the whole process if the promise rejects before
 * that, or if nothing awaits it after an earlier failure.
 * @returns the promise itself
 */
export function awaitedLater<Started extends Promise<unknown>>(started: Started): Started {
  started.catch(() => undefined)
  return started
}
