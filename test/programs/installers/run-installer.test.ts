/** An installation whose Packer is a script: how it ends, and that nothing of it is left. */

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createScratchFolder } from '../../../src/host/scratch-folder.ts'
import { runInstaller } from '../../../src/installers/debian-installer/run.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

beforeEach(() => {
  mkdirSync(path('bin'))
  vi.stubEnv('PATH', `${path('bin')}:${process.env.PATH}`)
  return () => vi.unstubAllEnvs()
})

/** Runs it with a program for sh in place of Packer. Returns what it throws. */
async function install(
  packer: string,
  interruption = new AbortController(),
  onPreseed = () => {},
): Promise<unknown> {
  writeFileSync(path('bin', 'packer'), `#!/bin/sh\n${packer}\n`)
  chmodSync(path('bin', 'packer'), 0o755)
  writeFileSync(path('initrd'), '')
  const runFolder = { id: 'run', path: path('run'), outFolder: path('out') }
  const scratch = await createScratchFolder()
  try {
    return await runInstaller(
      {
        variant: 'trixie-x86_64',
        name: 'installer',
        machine: { cpus: 1, memoryMiB: 512 },
        acceleration: { arch: 'x86_64', accelerator: 'tcg', cpu: 'max' },
        packer: '1.7',
        medium: { kernel: path('kernel'), initrd: path('initrd'), source: 'a test' },
        overlay: [],
        preseed: ({ address }) => {
          onPreseed()
          return `# for ${address}\n`
        },
        mirror: {
          mirror: 'http://127.0.0.1:9/debian',
          otherHosts: [],
          packages: { index: '', folder: path('p'), workFolder: path('w'), onFault: () => undefined },
        },
        kernelArguments: () => [],
        disk: path('disk.qcow2'),
        runFolder,
        onPhase: () => undefined,
        onProgress: () => undefined,
        signal: interruption.signal,
      },
      scratch,
    ).catch((error: unknown) => error)
  } finally {
    await scratch.remove()
  }
}

describe('an installation', () => {
  it('that Packer ends with an error says so, and keeps what Packer said', async () => {
    expect(await install("echo '1,,ui,say,no such disk'; exit 1")).toMatchObject({ code: 'packer-died' })
    expect(readFileSync(path('run', 'packer-installer.log'), 'utf8')).toBe('no such disk\n')
    expect(readFileSync(path('run', 'http', 'preseed.cfg'), 'utf8')).toMatch(/^# for [\d.]+\n$/)
  })

  it('whose machine is gone without having powered itself off has failed', async () => {
    expect(await install('exit 0')).toMatchObject({ code: 'installer-vanished' })
  })

  it('that is interrupted before Packer starts does not start it', async () => {
    const interruption = new AbortController()
    const failure = await install('touch started', interruption, () => interruption.abort())
    expect(failure).toMatchObject({ code: 'interrupted' })
    expect(existsSync(path('run', 'started'))).toBe(false)
  })

  it('that is interrupted while Packer works stops it', async () => {
    const interruption = new AbortController()
    const installed = install("echo '1,,ui,say,waiting'; exec sleep 600", interruption)
    await expect.poll(() => existsSync(path('run', 'packer-installer.log'))).toBe(true)
    interruption.abort()
    expect(await installed).toMatchObject({ code: 'interrupted' })
  })
})
