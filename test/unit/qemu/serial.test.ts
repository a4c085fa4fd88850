import { appendFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { followLines } from '../../../src/qemu/console.ts'
import { readSign } from '../../../src/qemu/console-signs.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

/** As systemd writes the name of a unit to a console. */
const colored = (name: string) => `\u001b[0;1;39m${name}\u001b[0m`

describe('a line of the console', () => {
  it.each([
    ['[   12.3] Kernel panic - not syncing: VFS: Unable to mount root fs', 'guest-panicked'],
    ['ALERT!  UUID=d49932d3 does not exist.  Dropping to a shell!', 'guest-root-missing'],
    ['Gave up waiting for root file system device.  Common problems:', 'guest-root-missing'],
    ['You are in emergency mode. After logging in, type "journalctl -xb"', 'guest-emergency'],
    ['systemvm-build: no interface eth0 appeared within 60 s', 'guest-no-network'],
    ['[FAILED] Failed to start systemvm-build.service - systemvm-image build access.', 'guest-no-access'],
    [
      `[\u001b[0;1;31mFAILED\u001b[0m] Failed to start ${colored('systemvm-build.service')} - systemvm-image build access.`,
      'guest-no-access',
    ],
  ])('is a sign: %j', (line, code) => {
    const error = readSign(line, ['before', line], '/out/serial.log')
    expect(error?.code).toBe(code)
    expect(error?.hint).toContain('/out/serial.log')
    expect(error?.details.lastLines).toEqual(['before', line])
    expect(error?.message.split(': ').at(-1)).not.toContain('\u001b')
  })

  it.each([
    'systemvm-build: ready',
    '[  OK  ] Reached target emergency.target - Emergency Mode.',
    'Loading, please wait...',
    '[   14.0] systemd-ssh-generator[259]: Failed to query local AF_VSOCK CID: Cannot assign requested address',
    '',
  ])('is none: %j', (line) => {
    expect(readSign(line, [line], '/out/serial.log')).toBeUndefined()
  })
})

describe('following a console', () => {
  /** Follows a file that need not be there. It looks whenever the test has it look. */
  const follow = async () => {
    const lines: string[] = []
    const stopping = new AbortController()
    let again: () => void = () => undefined
    let looked: () => void = () => undefined
    const pause = () =>
      new Promise<void>((resolve) => {
        again = resolve
        looked()
      })
    const first = new Promise<void>((resolve) => {
      looked = resolve
    })
    const following = followLines(path('serial.log'), stopping.signal, (line) => lines.push(line), pause)
    await first
    const look = () =>
      new Promise<void>((resolve) => {
        looked = resolve
        again()
      })
    const stop = async () => {
      stopping.abort()
      again()
      await following
    }
    return { lines, look, stop }
  }
  const write = (text: string | Buffer) => appendFileSync(path('serial.log'), text)

  it('ends a line that the guest never ends', async () => {
    const { lines, look, stop } = await follow()
    write('x'.repeat(300_000))
    await look()
    expect(lines.join('').length).toBeGreaterThan(100_000)
    for (const line of lines) expect(line.length).toBeLessThan(200_000)
    await stop()
  })

  it('waits for the file, and gives each line once, as soon as it is complete', async () => {
    const { lines, look, stop } = await follow()
    write('first\r\nsec')
    await look()
    expect(lines).toEqual(['first'])
    write('ond\r\nthird\n')
    await look()
    expect(lines).toEqual(['first', 'second', 'third'])
    await stop()
    write('after\n')
    expect(lines).toHaveLength(3)
  })

  it('gives lines as people read them: without colors, with their letters, also of one cut in two', async () => {
    const { lines, look, stop } = await follow()
    const bytes = Buffer.from(`Starting ${colored('systemd-tmpfiles-setup.se…')}mate System\r\r\n`)
    const cut = bytes.indexOf(Buffer.from('…')) + 1
    write(bytes.subarray(0, cut))
    await look()
    expect(lines).toEqual([])
    write(bytes.subarray(cut))
    await look()
    expect(lines).toEqual(['Starting systemd-tmpfiles-setup.se…mate System'])
    await stop()
  })

  it('keeps up with more than one buffer at once', async () => {
    const { lines, look, stop } = await follow()
    const many = Array.from({ length: 5000 }, (_, index) => `line ${index} ${'x'.repeat(40)}`)
    write(`${many.join('\n')}\n`)
    await look()
    expect(lines).toEqual(many)
    await stop()
  })
})
