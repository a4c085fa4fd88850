/** Where to put temporary copies of disks. */

import { access, constants } from 'node:fs/promises'
import { tmpdir } from 'node:os'

/** `TMPDIR` if set; else `/var/tmp`, since `/tmp` may be in memory and a copy is as large as a disk's data. */
export async function findWorkFolder(): Promise<string> {
  if ((process.env.TMPDIR ?? '') !== '') return tmpdir()
  const isWritable = await access('/var/tmp', constants.W_OK).then(
    () => true,
    () => false,
  )
  return isWritable ? '/var/tmp' : tmpdir()
}
