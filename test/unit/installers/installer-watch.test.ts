import { createSocket } from 'node:dgram'
import { describe, expect, it } from 'vitest'
import type { PipelineError } from '../../../src/errors.ts'
import type { InstallerPhase } from '../../../src/installers/debian-installer/phases.ts'
import {
  parseSyslog,
  receiveSyslog,
  type SyslogMessage,
} from '../../../src/installers/debian-installer/syslog.ts'
import { watchInstaller } from '../../../src/installers/debian-installer/watch.ts'
import { readRecording, replay } from '../../support/recorded-installers.ts'

describe('a message of a syslog', () => {
  it('has a program and a text, without priority and time', () => {
    expect(parseSyslog('<14>Nov 22 21:20:13 anna[3202]: DEBUG: retrieving pkgsel 0.87\n')).toEqual([
      { program: 'anna', text: 'DEBUG: retrieving pkgsel 0.87' },
    ])
    expect(parseSyslog('<6>Nov  2 01:02:03 kernel: [    1.0] a: b')).toEqual([
      { program: 'kernel', text: '[    1.0] a: b' },
    ])
  })

  it('may be several lines, or name no program', () => {
    expect(parseSyslog('<13>Nov 22 21:20:13 in-target: one\ntwo\n\n')).toEqual([
      { program: 'in-target', text: 'one' },
      { program: 'in-target', text: 'two' },
    ])
    expect(parseSyslog('nothing that we know')).toEqual([{ program: '', text: 'nothing that we know' }])
  })

  it('has nothing in it that a terminal would act on', () => {
    expect(parseSyslog('<13>Nov 22 21:20:13 in-target: \u001b[1;31mfailed\u001b[0m\u0007')).toEqual([
      { program: 'in-target', text: 'failed' },
    ])
  })

  it('is received on the loopback address alone', async () => {
    const messages: SyslogMessage[] = []
    const receiver = await receiveSyslog((message) => messages.push(message))
    const socket = createSocket('udp4')
    socket.send('<13>Nov 22 21:20:13 udhcpc: Got IP', receiver.port, '127.0.0.1')
    await expect.poll(() => messages).toEqual([{ program: 'udhcpc', text: 'Got IP' }])
    socket.close()
    receiver.close()
  })
})

describe('a recorded installation that came to a halt', () => {
  it.each([
    ['preseed-missing', 'installer-preseed-missing', 'preseed/retrieve_error', 'preseed'],
    ['preseed-syntax', 'installer-preseed-syntax', 'preseed/load_error', 'preseed'],
    ['mirror-down', 'installer-mirror-unusable', 'mirror/bad', 'mirror'],
    ['no-disk', 'installer-no-disk', 'partman-target/no_root', 'partitioning'],
    ['udeb-missing', 'installer-udeb-missing', 'retriever/net/error', 'components'],
  ])('%s is named within ten seconds', (name, code, question, phase) => {
    const { failure, failedAfterSeconds } = replay(readRecording(name), 30)
    expect(failure?.code, failure?.message).toBe(code)
    expect(failure?.details).toMatchObject({ question, phase })
    expect(failedAfterSeconds).toBeGreaterThan(0)
    expect(failedAfterSeconds).toBeLessThanOrEqual(10)
  })

  it('goes through its phases in their order', () => {
    const { phases, progress } = replay(readRecording('udeb-missing'), 0)
    expect(phases).toEqual(['preseed', 'mirror', 'components'])
    expect(progress).toContain('retrieving apt-setup-udeb')
  })

  it('names the udeb that the mirror lacks, the way out, and quotes what was said', () => {
    const { failure } = replay(readRecording('udeb-missing'), 30)
    expect(failure?.message).toContain('e2fsprogs-udeb_1.47.2-3+b12_amd64.udeb')
    expect(failure?.hint).toContain('--installer bootstrap')
    expect(failure?.hint).toContain('installer-syslog.log')
    expect(failure?.details.lastLines).toEqual(
      expect.arrayContaining([expect.stringContaining('ERROR 404'), 'waits at retriever/net/error']),
    )
  })

  it('is not taken for a halt before it is one', () => {
    const lines = readRecording('udeb-missing')
    expect(replay(lines.slice(0, -1), 4).failure).toBeUndefined()
  })
})

describe('a watch', () => {
  const start = () => {
    let now = 0
    const failures: PipelineError[] = []
    const phases: InstallerPhase[] = []
    const watch = watchInstaller({
      onPhase: (phase) => phases.push(phase),
      onProgress: () => undefined,
      onFailure: (error) => failures.push(error),
      logs: { syslog: 'syslog', serial: 'serial' },
      nowMs: () => now,
    })
    const debconf = (...texts: readonly string[]) => {
      for (const text of texts) watch.syslog({ program: 'debconf', text })
    }
    const menu = (item: string) =>
      watch.syslog({ program: 'main-menu', text: `INFO: Menu item '${item}' selected` })
    const pass = (seconds: number) => {
      for (let tick = 0; tick < seconds; tick += 1) {
        now += 1000
        watch.tick()
      }
    }
    const sleep = (seconds: number) => {
      now += seconds * 1000
      watch.tick()
    }
    const asked = (question: string) =>
      debconf(`--> INPUT critical ${question}`, '<-- 0 question will be asked', '--> GO')
    return { watch, failures, phases, debconf, menu, pass, sleep, asked }
  }

  it('quotes why the mirror was not to be had, whatever the installer makes of it', () => {
    const { watch, failures, menu, pass, asked } = start()
    menu('bootstrap-base')
    watch.mirror('http://mirror/debian/pool/x.deb: cannot reach mirror: connect ECONNREFUSED')
    asked('base-installer/debootstrap-failed')
    pass(7)
    expect(failures).toMatchObject([
      {
        code: 'installer-mirror-unusable',
        message: expect.stringMatching(
          /without its mirror: .*x\.deb: cannot reach mirror: connect ECONNREFUSED$/,
        ),
        details: { phase: 'base system' },
      },
    ])
  })

  it('forgets a fault of the mirror that was overcome', () => {
    const { watch, failures, menu, pass, asked } = start()
    menu('bootstrap-base')
    watch.mirror('http://mirror/debian/pool/x.deb: HTTP 503')
    pass(60)
    asked('base-installer/debootstrap-failed')
    pass(7)
    expect(failures).toMatchObject([{ code: 'installer-base-failed' }])
  })

  it.each([
    ['preseed/load_error', '', 'installer-preseed-syntax'],
    ['netcfg/dhcp_failed', '', 'installer-no-network'],
    ['localechooser/languagelist', '', 'installer-locale-unknown'],
    [
      'mirror/bad',
      'WARNING **: mirror does not support the specified release (x)',
      'installer-mirror-lacks-suite',
    ],
    ['mirror/bad', 'INFO: mirror does not have any suite symlinks', 'installer-mirror-unusable'],
    ['mirror/bad', '', 'installer-mirror-unusable'],
    ['retriever/net/error', '', 'installer-download-failed'],
    ['retriever/net/error/2', 'http://mirror/pool/pkgsel_1_all.udeb:', 'installer-udeb-missing'],
    ['anna/no_kernel_modules', '', 'installer-kernel-mismatch'],
    ['partman-target/no_root', '', 'installer-no-disk'],
    ['partman/confirm_new_label', '', 'installer-partitioning'],
    ['base-installer/debootstrap/error/nogetrel', '', 'installer-base-failed'],
    [
      'debian-installer/main-menu/item-failure',
      'E: Unable to locate package nonsense',
      'installer-package-unknown',
    ],
    ['debian-installer/main-menu/item-failure', '', 'installer-step-failed'],
    ['grub-installer/grub-install-failed', '', 'installer-boot-loader'],
    ['preseed/command_failed', '', 'installer-command-failed'],
    ['tzsetup/selected', '', 'installer-question'],
  ])('knows what %s is the sign of, after %j', (question, said, code) => {
    const { watch, failures, pass, asked } = start()
    if (said !== '') watch.syslog({ program: 'x', text: said })
    asked(question)
    pass(10)
    expect(failures.map((error) => error.code)).toEqual([code])
    expect(failures[0]?.details.lastLines).toContain(`waits at ${question}`)
  })

  it('takes an answered question for none, also where the answer was lost on its way', () => {
    const { failures, debconf, pass, asked } = start()
    asked('mirror/bad')
    debconf('<-- 0 ok')
    pass(20)
    asked('mirror/bad')
    debconf('--> GET mirror/protocol')
    pass(20)
    debconf('--> INPUT high netcfg/get_hostname', '<-- 30 question skipped', '--> GO')
    pass(20)
    expect(failures).toEqual([])
  })

  it('finds a disk that was partitioned otherwise than asked for', () => {
    const { watch, failures } = start()
    watch.syslog({
      program: 'partman-auto',
      text: 'Available disk space (1321) too small for expert recipe (5000); skipping',
    })
    expect(failures[0]).toMatchObject({ code: 'installer-recipe-skipped' })
    expect(failures[0]?.message).toContain('(5000)')
  })

  it('finds a panic on the console at once', () => {
    const { watch, failures } = start()
    watch.serial('[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs')
    expect(failures[0]?.code).toBe('guest-panicked')
  })

  it('gives up a phase in which nothing is said, and gives an initramfs its quarter of an hour', () => {
    const { watch, failures, menu, pass } = start()
    menu('bootstrap-base')
    pass(1200)
    expect(failures).toEqual([])
    watch.syslog({ program: 'in-target', text: 'update-initramfs: Generating' })
    pass(1600)
    expect(failures.map(({ code }) => code)).toEqual(['installer-stalled'])
    expect(failures[0]?.message).toContain('base system')
  })

  it('does not count the time that the host has slept', () => {
    const { failures, sleep, pass, asked } = start()
    asked('mirror/bad')
    pass(2)
    sleep(100_000)
    expect(failures).toEqual([])
    pass(5)
    expect(failures).toHaveLength(1)
  })

  it('goes through phases in one direction', () => {
    const { phases, menu } = start()
    for (const item of ['network-preseed', 'choose-mirror', 'download-installer', 'choose-mirror', 'pkgsel'])
      menu(item)
    expect(phases).toEqual(['preseed', 'mirror', 'components', 'packages'])
  })

  it('knows the end from a machine that was powered off too early, or vanished', () => {
    const { watch, menu } = start()
    menu('pkgsel')
    expect(watch.ended(true)?.message).toContain('before it had finished')
    menu('finish-install')
    expect(watch.ended(false)?.code).toBe('installer-vanished')
    expect(watch.ended(true)).toBeUndefined()
  })
})
