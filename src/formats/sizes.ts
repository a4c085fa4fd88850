/** Sizes of a disk that a format can say exactly. */

/** A fixed list would be long: a size is asked about, and the next ones are looked for. */
export interface DiskSizes {
  readonly holds: (sizeBytes: number) => boolean
  /** The largest. Absent: there is none. */
  readonly largestBytes?: number
}
