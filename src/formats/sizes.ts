/** Disk sizes that a format can express exactly, so that no reader rounds them. */

export interface DiskSizes {
  readonly holds: (sizeBytes: number) => boolean
  /** @default no limit */
  readonly largestBytes?: number
}
