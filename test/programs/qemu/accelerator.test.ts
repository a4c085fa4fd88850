import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findProgram } from '../../../src/host/tools.ts'
import { type AcceleratorInput, chooseAccelerator } from '../../../src/qemu/accelerator.ts'

let folder: string
let input: AcceleratorInput

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'accelerator-'))
  const file = (name: string, text = '') => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  input = {
    arch: 'x86_64',
    kernels: [file('vmlinuz', 'a kernel')],
    cacheDir: join(folder, 'cache'),
    path: folder,
    host: { kvm: file('kvm'), boot: join(folder, 'boot'), bootId: file('boot_id', 'first boot\n') },
  }
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A QEMU that logs how it was called and then does as told. */
function qemu(body: string): void {
  const path = join(folder, 'qemu-system-x86_64')
  writeFileSync(path, `#!/bin/sh\necho "$*" >> ${folder}/calls\n${body}\n`)
  chmodSync(path, 0o755)
}

function calls(): readonly string[] {
  const path = join(folder, 'calls')
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

const booting = 'echo "Probing EDD ... ok"; echo "[0.000000] Linux version 6.12.0"; exec sleep 600'
const kvm = { accelerator: 'kvm', cpu: 'host', proven: true }
const tcg = { accelerator: 'tcg', cpu: 'Opteron_G3,-cx16', proven: true }

// Skipped on other architectures than the one they are about.
describe.skipIf(process.arch !== 'x64')('KVM (skipped where the host is not x64)', () => {
  it('is taken when a kernel says its version, and QEMU is ended at once', async () => {
    qemu(booting)
    expect(await chooseAccelerator(input)).toMatchObject({
      ...kvm,
      reason: expect.stringContaining('vmlinuz'),
    })
    expect(calls()).toHaveLength(1)
    expect(calls()[0]).toMatch(/,accel=kvm -cpu host .*-kernel \S+vmlinuz -append console=ttyS0/)
  })

  it('is given up when a kernel says nothing of itself for 5 s, with its last words', async () => {
    qemu('echo "Probing EDD (edd=off to disable)... ok"; exec sleep 20')
    const choice = await chooseAccelerator(input)
    expect(choice).toMatchObject(tcg)
    expect(choice.reason).toContain('hangs')
    expect(choice.reason).toContain('Probing EDD')
  })

  it('is given up when QEMU fails, with what it says', async () => {
    qemu('echo "qemu: failed to initialize kvm: Device or resource busy" >&2; exit 1')
    const choice = await chooseAccelerator(input)
    expect(choice).toMatchObject(tcg)
    expect(choice.reason).toContain('Device or resource busy')
  })

  it('is not tried without its device, and the reason says how to get one', async () => {
    qemu(booting)
    const choice = await chooseAccelerator({ ...input, host: { ...input.host, kvm: join(folder, 'none') } })
    expect(choice).toMatchObject(tcg)
    expect(choice.reason).toMatch(/there is no .*nested virtualization/)
    expect(calls()).toEqual([])
  })

  // Skipped as root, who has every right to the device.
  it.skipIf(process.getuid?.() === 0)(
    'is not tried without the right to its device (skipped as root)',
    async () => {
      chmodSync(join(folder, 'kvm'), 0o400)
      const { reason } = await chooseAccelerator(input)
      expect(reason).toContain('usermod -aG kvm')
    },
  )

  it('stays unproven without a kernel to boot, and nothing is remembered', async () => {
    qemu('cat >/dev/null')
    const bare = { ...input, kernels: [join(folder, 'none')] }
    const choice = await chooseAccelerator(bare)
    expect(choice).toMatchObject({ ...tcg, proven: false })
    expect(choice.reason).toContain('not tested')
    expect(calls()[0]).toContain('-monitor stdio')
    expect(existsSync(input.cacheDir)).toBe(false)
    qemu(booting)
    expect(await chooseAccelerator(input)).toMatchObject(kvm)
  })

  it('is given up for certain when not even an empty machine can be made', async () => {
    qemu('echo "Could not access KVM kernel module" >&2; exit 1')
    const choice = await chooseAccelerator({ ...input, kernels: [] })
    expect(choice).toMatchObject(tcg)
    expect(choice.reason).toContain('Could not access KVM kernel module')
  })

  it('is remembered without an argument of QEMU that somebody may have written there', async () => {
    qemu(booting)
    await chooseAccelerator(input)
    const [name = ''] = readdirSync(input.cacheDir)
    const file = join(input.cacheDir, name)
    const kept = JSON.parse(readFileSync(file, 'utf8'))
    for (const changed of [{ cpu: 'host,-x' }, { reason: '\u001b[2J' }, { accelerator: 'tcg,tb-size=1' }]) {
      writeFileSync(file, JSON.stringify({ ...kept, ...changed }))
      expect(await chooseAccelerator(input)).toMatchObject({ ...kvm, reason: kept.reason })
    }
  })

  it('is remembered for this boot, this QEMU and this kernel', async () => {
    qemu(booting)
    const first = await chooseAccelerator(input)
    expect(await chooseAccelerator(input)).toEqual(first)
    expect(calls()).toHaveLength(1)

    writeFileSync(join(folder, 'boot_id'), 'second boot\n')
    await chooseAccelerator(input)
    expect(calls()).toHaveLength(2)

    writeFileSync(join(folder, 'vmlinuz'), 'another kernel')
    await chooseAccelerator(input)
    expect(calls()).toHaveLength(3)

    qemu(`${booting} # newer`)
    await chooseAccelerator(input)
    expect(calls()).toHaveLength(4)
  })

  it('is tried again when what was remembered is cut short', async () => {
    qemu(booting)
    await chooseAccelerator(input)
    const [name] = readdirSync(input.cacheDir)
    writeFileSync(join(input.cacheDir, name ?? ''), '{"accelerator":"k')
    expect(await chooseAccelerator(input)).toMatchObject(kvm)
  })

  it('is interrupted with its caller', async () => {
    qemu('exec sleep 20')
    const controller = new AbortController()
    const reason = new Error('interrupted')
    setTimeout(() => controller.abort(reason), 200)
    await expect(chooseAccelerator({ ...input, signal: controller.signal })).rejects.toBe(reason)
  })

  it('needs a QEMU', async () => {
    const path = join(folder, 'empty')
    await expect(chooseAccelerator({ ...input, path })).rejects.toMatchObject({ code: 'qemu-missing' })
  })

  it('is not tried for another architecture', async () => {
    const choice = await chooseAccelerator({ ...input, arch: 'aarch64' })
    expect(choice).toMatchObject({ accelerator: 'tcg', cpu: 'cortex-a72', proven: true })
  })

  it.each(['kvm', 'tcg'] as const)('or %s is taken untried when a person says so', async (force) => {
    qemu(booting)
    expect(await chooseAccelerator({ ...input, force })).toMatchObject({ accelerator: force, proven: false })
    expect(calls()).toEqual([])
  })
})

const realQemu = await findProgram(`qemu-system-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`)
if (realQemu === undefined && process.env.CI === 'true') throw new Error('CI lacks QEMU')

// With SYSTEMVM_TEST_KERNEL=/path/to/vmlinuz, or where /boot can be read, a kernel is really booted.
// Skipped without QEMU: there is nothing to boot a kernel with.
it.skipIf(realQemu === undefined)(
  'this very host gets an answer with a reason (skipped without QEMU)',
  async () => {
    const kernels = [process.env.SYSTEMVM_TEST_KERNEL ?? ''].filter(Boolean)
    const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
    const choice = await chooseAccelerator({ arch, kernels, cacheDir: input.cacheDir })
    if (choice.accelerator === 'kvm') expect(choice).toMatchObject({ cpu: 'host', proven: true })
    else
      expect(choice.reason).toMatch(/there is no|not writable|not tested|hangs|does not boot|cannot create/)
  },
)
