import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import {
  dpkgExcludes,
  initramfsSettings,
  initramfsSettingsFile,
} from '../../../src/installers/base-system.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const script = fileURLToPath(new URL('../../../src/installers/bootstrap/prepare.sh', import.meta.url))
const grow = { grow: false, primary: true, bootable: false, reservedPercent: 0 } as const
const disk = {
  sizeMiB: 5040,
  partitions: [
    { mount: '/boot', filesystem: 'ext2', ...grow },
    { mount: '/', filesystem: 'ext4', ...grow },
  ],
} as const

const excludes = dpkgExcludes({ leaveOut: ['*/lib/modules/*/kernel/sound/*'] })

it('what packages act on while they are installed is in the tree before the first of them', () => {
  execFileSync('sh', [script], {
    env: {
      PATH: process.env.PATH,
      ROOT: path(),
      DPKG_EXCLUDES: excludes.join('\n'),
      INITRAMFS_SETTINGS: initramfsSettings(disk).join('\n'),
      INITRAMFS_SETTINGS_FILE: initramfsSettingsFile,
    },
  })
  expect(readFileSync(path('etc/initramfs-tools/conf.d/systemvm-root'), 'utf8')).toBe(
    'FSTYPE=ext4\nRUNSIZE=20%\nSOURCE_DATE_EPOCH=946684800\n',
  )
  expect(readFileSync(path('etc/dpkg/dpkg.cfg.d/systemvm'), 'utf8').split('\n')).toEqual([...excludes, ''])
})
