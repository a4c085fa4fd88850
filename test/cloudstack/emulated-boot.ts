/**
 * How an emulated x86 guest boots in which haproxy can run. QEMU 7.2 gets the flags of `cmpxchg16b` wrong where Debian's kernel
 * uses it, so emulated processors are without it; haproxy uses it unasked, and dies. Here the processor has it, and the
 * kernel is told that it has not.
 */

import type { ResolvedImage } from '../../src/config/resolved.ts'
import { readBootFiles } from '../../src/disk/boot-files.ts'
import { placePartitions } from '../../src/disk/layout.ts'
import type { GuestOptions } from '../../src/guest/guest.ts'
import type { AcceleratorChoice } from '../../src/qemu/accelerator.ts'

export type Processor = Pick<GuestOptions, 'acceleration' | 'directBoot'>

/** Decides how guests of an image start. Kernel and initrd go into `folder`, where they are needed. */
export async function chooseProcessor(
  file: string,
  { disk }: ResolvedImage,
  acceleration: AcceleratorChoice,
  folder: string,
): Promise<Processor> {
  if (acceleration.accelerator === 'kvm' || acceleration.arch !== 'x86_64')
    return { acceleration, directBoot: undefined }
  const layout = placePartitions(disk, '')
  const root = layout.partitions.find(({ mount }) => mount === '/')
  const bootFiles = await readBootFiles(file, layout, folder)
  const words = [
    `root=/dev/vda${root?.number}`,
    'ro',
    'console=ttyS0,115200n8',
    'net.ifnames=0',
    'loglevel=4',
  ]
  return {
    acceleration: { ...acceleration, cpu: acceleration.cpu.replace(/,-cx16$/, '') },
    directBoot: { ...bootFiles, arguments: [...words, 'clearcpuid=cx16'].join(' ') },
  }
}
