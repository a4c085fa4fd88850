/** Which parts of a run determined when it ended. */

/** Something that took time, in seconds from the start of the run. */
export interface Span {
  readonly name: string
  readonly startSeconds: number
  readonly endSeconds: number
}

/** Clocks are read a moment apart. */
const tolerance = 0.25

/**
 * The spans that each had to end before the next could begin, up to the one that ended last; in order. Making one of them
 * faster makes the run end earlier, until another span becomes critical.
 */
export function findCriticalPath(spans: readonly Span[]): readonly Span[] {
  const path: Span[] = []
  const latest = (candidates: readonly Span[]) =>
    candidates.reduce<Span | undefined>(
      (found, span) => (found === undefined || span.endSeconds > found.endSeconds ? span : found),
      undefined,
    )
  let left = spans
  for (let last = latest(left); last !== undefined; last = latest(left)) {
    path.unshift(last)
    const { startSeconds } = last
    left = left.filter(
      (span) =>
        span !== last && span.endSeconds <= startSeconds + tolerance && span.startSeconds < startSeconds,
    )
  }
  return path
}
