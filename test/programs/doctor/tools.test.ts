import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installHostPackages, missingHostPackages } from '../../../src/doctor/host-packages.ts'
import { hostTools } from '../../../src/host/tool-table.ts'
import { findTools, isAtLeast } from '../../../src/host/tools.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'programs-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Puts a program into a folder of fakes, where it logs how it was called. */
function fake(name: string, body: string, where = folder): string {
  const path = join(where, name)
  writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> ${folder}/calls\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

function calls(): readonly string[] {
  try {
    return readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')
  } catch {
    return []
  }
}

async function packer(): Promise<{ version?: string | undefined; found?: string | undefined }> {
  const { found, faults } = await findTools({ path: folder, needs: ['build'] })
  const version = found.find(({ tool }) => tool.name === 'packer')?.version
  return { version, found: faults.find(({ tool }) => tool.name === 'packer')?.found }
}

describe('a tool', () => {
  it.each([
    ['Packer', 'echo "Packer v1.6.6"', '1.6.6'],
    ['a Packer that warns', 'echo "Packer v1.6.7"; echo "out of date" >&2', '1.6.7'],
    ['a version said on stderr', 'echo "1.6.8" >&2', '1.6.8'],
  ])('says its version: %s', async (_case, body, version) => {
    fake('packer', body)
    expect((await packer()).version).toBe(version)
    expect(calls()).toEqual(['packer version'])
  })

  it('is a fault when it is missing, with the package that has it', async () => {
    const { faults } = await findTools({ path: folder, needs: ['build'] })
    expect(faults).toContainEqual(
      expect.objectContaining({ found: 'nothing', needed: 'packer 1.6 or newer', package: 'packer' }),
    )
  })

  it('is a fault when it is too old, with the version found', async () => {
    fake('packer', 'echo "Packer v1.5.6"')
    expect((await packer()).found).toBe(`1.5.6 at ${folder}/packer`)
  })

  it('is a fault when it breaks or says no version, and nothing is thrown', async () => {
    fake('packer', 'exit 3')
    expect((await packer()).found).toContain('does not say its version')
  })

  it('does not count when it is a folder or may not be run', async () => {
    mkdirSync(join(folder, 'packer'))
    writeFileSync(join(folder, 'qemu-img'), '')
    const { faults } = await findTools({ path: folder, needs: ['build'] })
    const lacking = faults.map(({ tool, found }) => [tool.name, found])
    expect(lacking).toContainEqual(['packer', 'nothing'])
    expect(lacking).toContainEqual(['qemu-img', 'nothing'])
  })

  it('is asked once, and again when it was replaced', async () => {
    const path = fake('packer', 'echo "Packer v1.6.6"')
    await packer()
    await packer()
    expect(calls()).toHaveLength(1)
    writeFileSync(path, '#!/bin/sh\necho "Packer v1.6.7"\n')
    utimesSync(path, new Date(), new Date(Date.now() + 5_000))
    expect((await packer()).version).toBe('1.6.7')
  })

  it.each([
    ['has it', `echo "/root/.config/packer/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.0"`],
    ['cannot list them', 'echo "Usage: packer" >&2; exit 127'],
  ])('is taken with its plugin where it %s', async (_case, list) => {
    fake('packer', `if [ "$1" = version ]; then echo "Packer v1.11.2"; else ${list}; fi`)
    expect((await packer()).version).toBe('1.11.2')
    expect(calls()).toEqual(['packer version', 'packer plugins installed'])
  })

  it('is a fault without the plugin that it needs, with the command that installs it and no package', async () => {
    fake('packer', 'if [ "$1" = version ]; then echo "Packer v1.11.2"; else echo other; fi')
    const { faults } = await findTools({ path: folder, needs: ['build'] })
    expect(faults.find(({ tool }) => tool.name === 'packer')).toMatchObject({
      found: `1.11.2 at ${folder}/packer without it`,
      needed: 'packer-plugin-qemu',
      package: undefined,
      remedy: 'packer plugins install github.com/hashicorp/qemu',
      command: [`${folder}/packer`, 'plugins', 'install', 'github.com/hashicorp/qemu'],
    })
    expect(await missingHostPackages({ path: folder })).not.toContain('packer')
  })

  it('is looked for where root has its programs too', async () => {
    const { found } = await findTools({ path: folder, needs: ['build'] })
    // mke2fs is part of every Debian and Ubuntu, and of no user's PATH on Debian.
    expect(found.find(({ tool }) => tool.name === 'mke2fs')?.path).toMatch(/sbin\/mke2fs$/)
  })

  it('is the emulator of the architecture that is built', () => {
    const names = hostTools('aarch64').map((tool) => tool.name)
    expect(names).toContain('qemu-system-aarch64')
    expect(names).not.toContain('qemu-system-x86_64')
  })

  // Skipped where programs for ARM run by themselves: such a host needs nothing to emulate them with.
  it.runIf(process.arch === 'x64')(
    'is for ARM also what makes and boots its disk, and emulates its programs (skipped where the host is not x64)',
    () => {
      const more = [
        'mkfs.vfat',
        'mcopy',
        'UEFI firmware',
        'arch-test',
        'qemu-aarch64-static',
        'update-binfmts',
      ]
      expect(hostTools('aarch64').map(({ name }) => name)).toEqual(expect.arrayContaining(more))
      const ofAll = hostTools().filter(({ need }) => need !== 'tests')
      for (const name of more) expect(ofAll.map((tool) => tool.name)).not.toContain(name)
      expect(hostTools('aarch64').find(({ file }) => file !== undefined)?.package).toBe('qemu-efi-aarch64')
    },
  )
})

it.each([
  ['1.6.6', '1.6', true],
  ['1.10', '1.9', true],
  ['2', '1.45', true],
  ['1.5.9', '1.6', false],
  ['1.6', '1.6.1', false],
  ['18.19.0', '18.19', true],
])('version %s is at least %s: %s', (version, minimum, answer) => {
  expect(isAtLeast(version, minimum)).toBe(answer)
})

describe('missing packages', () => {
  it('are named once each, in order, with the keyring', async () => {
    const keyring = join(folder, 'none.gpg')
    const names = await missingHostPackages({ path: folder, keyring })
    expect(names).toContain('debian-archive-keyring')
    expect(names).toContain('qemu-utils')
    expect(names).not.toContain('shellcheck')
    expect([...new Set(names)].sort()).toEqual(names)
  })

  it('include those of the tests on request', async () => {
    expect(await missingHostPackages({ path: folder, forTests: true })).toContain('shellcheck')
  })
})

describe('setting up the host', () => {
  const lines: string[] = []
  const options = { yes: true, asRoot: true, onOutput: (line: string) => void lines.push(line) }
  const candidate = (name: string, version: string) => `echo "${name}:"; echo "  Candidate: ${version}"`

  beforeEach(() => {
    lines.length = 0
    fake('apt-get', 'echo "apt says $1"')
    fake('apt-cache', `${candidate('packer', '1.6.6')}; ${candidate('zstd', '1.5.4')}`)
  })

  it('does nothing and says so when nothing is missing', async () => {
    await installHostPackages([], { ...options, path: folder })
    expect(lines).toEqual(['every package is installed: nothing to do'])
    expect(calls()).toEqual([])
  })

  it('says what it does, updates, and installs without recommended packages', async () => {
    await installHostPackages(['packer', 'zstd'], { ...options, path: folder })
    expect(lines).toEqual(['apt-get installs packer zstd', 'apt says update', 'apt says install'])
    expect(calls()).toEqual([
      'apt-get update',
      'apt-cache policy packer zstd',
      'apt-get install -y --no-install-recommends packer zstd',
    ])
  })

  it('goes through sudo where root does not ask', async () => {
    fake('sudo', 'exec "$@"')
    await installHostPackages(['zstd'], { ...options, asRoot: false, path: folder })
    const apt = `env DEBIAN_FRONTEND=noninteractive ${folder}/apt-get`
    expect(calls().filter((line) => line.startsWith('sudo'))).toEqual([
      `sudo ${apt} update`,
      `sudo ${apt} install -y --no-install-recommends zstd`,
    ])
    expect(lines[0]).toBe('by sudo, apt-get installs zstd')
  })

  it('refuses without sudo, with the command that root would run', async () => {
    await expect(
      installHostPackages(['zstd'], { ...options, asRoot: false, path: folder }),
    ).rejects.toMatchObject({ code: 'setup-no-sudo', hint: expect.stringContaining('install -y') })
    expect(calls()).toEqual([])
  })

  it('asks for consent before it changes anything', async () => {
    await expect(
      installHostPackages(['zstd'], { ...options, yes: false, path: folder }),
    ).rejects.toMatchObject({ code: 'setup-not-confirmed', message: '1 package is missing: zstd' })
    expect(calls()).toEqual([])
  })

  it('installs the others when this release has no such package, then says so', async () => {
    fake('apt-cache', `${candidate('zfs', '(none)')}; ${candidate('zstd', '1.5.7')}`)
    await expect(installHostPackages(['zfs', 'zstd'], { ...options, path: folder })).rejects.toMatchObject({
      code: 'setup-package-unknown',
      message: expect.stringContaining('zfs'),
    })
    expect(calls().at(-1)).toBe('apt-get install -y --no-install-recommends zstd')
  })

  it('fails with what apt said', async () => {
    fake('apt-get', 'echo "E: Unable to locate"; exit 100')
    await expect(installHostPackages(['zstd'], { ...options, path: folder })).rejects.toMatchObject({
      code: 'setup-apt-failed',
      message: expect.stringContaining('E: Unable to locate'),
    })
    expect(calls()).toEqual(['apt-get update'])
  })
})
