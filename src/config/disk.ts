/** The disk of the images, as a person writes it. */

import { z } from 'zod'
import { maximumDiskMiB } from './image.ts'

const partition = z.strictObject({
  /** Mount point; leave out for swap. */
  mount: z
    .string()
    .regex(/^\/$|^(\/[a-z0-9_-]+)+$/, 'must be an absolute path in lower case')
    .optional(),
  /** File system; `vfat` is only for the EFI system partition. */
  filesystem: z.enum(['ext2', 'ext4', 'swap', 'vfat']),
  /** Size in MiB; leave out for the one that takes the rest. */
  sizeMiB: z.int().min(8, 'must be at least 8 MiB').optional(),
  /** Takes the rest of the disk and grows with it. Only the last partition may. @default false */
  grow: z.boolean().default(false),
  /** Primary partitions are numbered from 1; the others from 5, as logical partitions in an MBR. @default false */
  primary: z.boolean().default(false),
  /** Marks the partition that a BIOS boots from. @default false */
  bootable: z.boolean().default(false),
  /** Share of blocks reserved for root, in percent. @default 0 */
  reservedPercent: z.number().min(0).max(50).default(0),
})

export const diskField = z.strictObject({
  /** Type of the partition table: `gpt` for UEFI firmware, as on aarch64. By default an MBR. */
  table: z.literal('gpt', { error: 'must be gpt, or left out for an MBR' }).optional(),
  /** Whether it boots with Debian's signed boot loaders, for UEFI Secure Boot; only on x86_64. @default false */
  secureBoot: z.boolean().optional(),
  /** A multiple of 126 MiB, which every format can express. */
  sizeMiB: z
    .int()
    .positive()
    .max(
      maximumDiskMiB,
      `must be at most ${maximumDiskMiB} MiB, the most that a DOS partition table can hold`,
    ),
  /** Partitions, in disk order. */
  partitions: z.array(partition).min(1),
})
