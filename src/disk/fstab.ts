/** Mounts according to a disk's own /etc/fstab. */

import type { PartitionEntry } from './partitions.ts'

/** One line of an fstab. */
export interface Mount {
  /** `UUID=…`, `LABEL=…`, a path of /dev, `tmpfs`, … */
  readonly source: string
  /** Absolute, without a trailing slash; `none` and `swap` for swap. */
  readonly path: string
  readonly type: string
  readonly options: readonly string[]
}

export function parseFstab(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [source = '', path, type = '', options = ''] = line.trim().split(/\s+/).map(decodeField)
    if (source === '' || source.startsWith('#') || path === undefined) return []
    return [
      { source, path: path === '/' ? path : path.replace(/\/+$/, ''), type, options: options.split(',') },
    ]
  })
}

/**
 * Whether a source names a partition. A path such as `/dev/sda6` is matched only by its number, on the first disk, because
 * the name of a disk depends on the machine.
 */
export function namesPartition(source: string, partition: PartitionEntry): boolean {
  const [, tag, quoted = ''] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)$/.exec(source) ?? []
  const link = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.*)$/.exec(source)
  const kind = (tag ?? link?.[1])?.toLowerCase()
  if (kind === undefined) {
    const number = /^\/dev\/(?:[hsv]da|xvda|(?:nvme0n1|mmcblk0)p)(\d+)$/.exec(source)?.[1]
    return number !== undefined && Number(number) === partition.number
  }
  const value = link?.[2]?.replace(/\\x([0-9a-f]{2})/gi, fromHex) ?? quoted.replace(/^"(.*)"$/, '$1')
  if (kind === 'uuid') return isSame(value, partition.uuid)
  if (kind === 'partuuid') return isSame(value, partition.partitionUuid)
  return value === (kind === 'label' ? partition.label : partition.partitionLabel)
}

// --- internal ---

function isSame(value: string, uuid: string | undefined): boolean {
  return uuid !== undefined && value.toLowerCase() === uuid.toLowerCase()
}

const fromHex = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))

/** A space in a field is written as `\040`. */
function decodeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
