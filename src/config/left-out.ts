/** Files of Debian packages that an image leaves out. */

import { z } from 'zod'

const name = z.string().regex(/^[a-z][A-Za-z0-9]*$/, 'must be a name like soundCards')

const pattern = z
  .string()
  .regex(/^(\/|\*\/)/, 'must begin with / or */, as dpkg compares it with whole paths')
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces, as it is a line of a dpkg configuration')
  .refine((text) => /[^/*?]/.test(text), 'must name something: it would match every file')

/** Lists of path patterns, each under a name that an override can use: `--set leaveOut.soundCards=[]`. */
export const leaveOutField = z.record(name, z.array(pattern))

/**
 * Patterns for folders of kernel modules, for `leaveOut`: `kernelModules('drivers', 'media net/usb')`. Debian's kernels
 * have them in `/lib/modules` and, since trixie, in `/usr/lib/modules`.
 * @param parent folder within `kernel/`; empty for `kernel/` itself
 * @param folders in the parent, separated by spaces
 */
export function kernelModules(parent: string, folders: string): string[] {
  const within = parent === '' ? '' : `${parent}/`
  return folders
    .trim()
    .split(/\s+/)
    .map((folder) => `*/lib/modules/*/kernel/${within}${folder}/*`)
}
