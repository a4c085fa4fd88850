/** What a whole console is a sign of, as `verify` reads it. */

import { describe, expect, it } from 'vitest'
import { findSign, hasSign } from '../../../src/qemu/console-signs.ts'

const healthy = [
  'Loading Linux 6.12.48+deb13-cloud-amd64 ...',
  '[    0.000000] Linux version 6.12.48',
  '[    1.2] ALERT messages are enabled',
  '[  OK  ] Reached target emergency.target - Emergency Mode.',
  'Debian GNU/Linux 13 systemvm ttyS0',
].join('\n')

it.each(['ALERT!', 'BusyBox v', 'BusyBox vx ', 'Kernel panic', 'Gave up waiting', '(initramfs'])(
  'a guest that prints nothing but %s keeps nobody busy',
  (text) => {
    // As much as is looked at, in one line. With patterns of any length, that took most of an hour.
    expect(findSign(text.repeat((4 * 2 ** 20) / text.length), 'end')).toBeUndefined()
  },
)

describe('a console that has come to its end', () => {
  it.each([
    ['Entering rescue mode...\ngrub rescue> ', 'guest-not-booted', 'Entering rescue mode...'],
    ['   Minimal BASH-like line editing is supported. For the first word,', 'guest-not-booted', 'Minimal'],
    ['Booting from Hard Disk...\nBoot failed: not a bootable disk\n', 'guest-not-booted', 'Boot failed'],
    ['No bootable device.', 'guest-not-booted', 'No bootable device.'],
    [
      "BusyBox v1.37.0 (Debian 1:1.37.0-6) built-in shell (ash)\nEnter 'help'",
      'guest-initramfs-shell',
      'Busy',
    ],
    ['fsck exited with status code 4\n(initramfs) ', 'guest-initramfs-shell', '(initramfs)'],
    [
      'ALERT!  UUID=d49932d3 does not exist.  Dropping to a shell!\n(initramfs) ',
      'guest-root-missing',
      'ALERT!  UUID=d49932d3',
    ],
    ['Cannot open access to console, the root account is locked.', 'guest-emergency', 'Cannot open'],
    ['Give root password for maintenance', 'guest-emergency', 'Give root'],
    [
      'Gave up waiting for root file system device.\n[ 40.1] Kernel panic - not syncing: Attempted to kill init!',
      'guest-panicked',
      '[ 40.1] Kernel panic',
    ],
  ])('%j', (text, code, begin) => {
    const sign = findSign(`${healthy}\n${text}`, 'end')
    expect(sign?.code).toBe(code)
    expect(sign?.line.startsWith(begin), sign?.line).toBe(true)
  })

  it('is no healthy one, and none whose kernel goes on', () => {
    expect(findSign(healthy, 'end')).toBeUndefined()
    expect(findSign('[ 3.1] kernel BUG at mm/slub.c:448!', 'end')).toBeUndefined()
    expect(findSign('Gave up waiting for suspend/resume device', 'end')).toBeUndefined()
    expect(findSign('run by hand: (initramfs) is a prompt', 'end')).toBeUndefined()
  })
})

it.each([
  '[    3.1] kernel BUG at mm/slub.c:448!',
  '[    3.1] BUG: unable to handle page fault for address: ffffffff',
  '[    3.1] Oops: int3: 0000 [#1] SMP PTI',
  'Gave up waiting for suspend/resume device',
])('a guest is hurt, and may go on: %j', (line) => {
  expect(findSign(`${healthy}\n${line}`, 'hurt')?.line).toBe(line)
})

it('a guest is up by what it says, whatever color that has', () => {
  expect(hasSign('systemvm login: ', 'loginPrompt')).toBe(true)
  expect(hasSign(healthy, 'loginPrompt')).toBe(false)
  expect(hasSign('systemvm-build: ready', 'buildReady')).toBe(true)
  expect(findSign('\u001b[0;1;39msystemvm-build: ready\u001b[0m', 'up')?.line).toBe('systemvm-build: ready')
})
