import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { apt_upgrade } from '../../../provisioners/apt_upgrade.ts'
import { authorized_keys } from '../../../provisioners/authorized_keys.ts'
import { configure_conntrack } from '../../../provisioners/configure_conntrack.ts'
import { configure_grub } from '../../../provisioners/configure_grub.ts'
import { configure_login } from '../../../provisioners/configure_login.ts'
import { configure_networking } from '../../../provisioners/configure_networking.ts'
import { systemvmPackages } from '../../../provisioners/systemvm_packages.ts'
import type { ImageFacts, Suite } from '../../../src/config/image.ts'
import { type StageUse, z } from '../../../src/config/stage.ts'

const folder = fileURLToPath(new URL('../../../provisioners/', import.meta.url))

/** Of each script, what the module beside it declares, with its default settings. */
const stages: readonly StageUse[] = await Promise.all(
  readdirSync(folder)
    .filter((file) => file.endsWith('.sh'))
    .sort()
    .map(async (file) => {
      const name = basename(file, '.sh')
      const declared = (await import(`${folder}${name}.ts`)) as Readonly<Record<string, () => StageUse>>
      const define = declared[name]
      if (define === undefined) throw new Error(`provisioners/${name}.ts exports no stage ${name}`)
      return define()
    }),
)

function imageOf(suite: Suite, machine: Pick<ImageFacts, 'arch' | 'debianArch'>): ImageFacts {
  return {
    ...machine,
    name: 'systemvmtemplate',
    release: '4.22.0.0',
    sourceDateEpoch: 1_790_000_000,
    variant: `${suite}-${machine.arch}`,
    suite,
    debianVersion: suite === 'trixie' ? 13 : 12,
    hostname: 'systemvm',
    domain: 'example.org',
    locale: 'en_US.UTF-8',
    timezone: 'Etc/UTC',
    keyboard: 'us',
    mirror: {
      debian: 'http://deb.example.org/debian',
      security: 'http://deb.example.org/debian-security',
      components: ['main'],
      keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
    account: { name: 'cloud', fullName: 'Cloud User', groups: ['admin'] },
    kernelPackage: `linux-image-${machine.debianArch}`,
    disk: { sizeMiB: 5040, partitions: [] },
    targets: ['kvm'],
  }
}

const images = (['bookworm', 'trixie'] as const).flatMap((suite) => {
  const amd64 = imageOf(suite, { arch: 'x86_64', debianArch: 'amd64' })
  return [
    amd64,
    imageOf(suite, { arch: 'aarch64', debianArch: 'arm64' }),
    // What may be empty.
    { ...amd64, account: { name: 'cloud', fullName: '', groups: [] } },
  ]
})

/** The settings as the pipeline would resolve them: defaults filled in, unknown ones refused. */
function settingsOf(stage: StageUse) {
  return z.strictObject(stage.spec.settings ?? {}).parse(stage.settings)
}

/** Messages of the faults in a stage's settings. */
function faultsOf(stage: StageUse): string[] {
  const checked = z.strictObject(stage.spec.settings ?? {}).safeParse(stage.settings)
  return checked.success ? [] : checked.error.issues.map((issue) => issue.message)
}

function scriptOf(stage: StageUse): string {
  return readFileSync(`${folder}${stage.name}.sh`, 'utf8')
}

const shellcheck = spawnSync('shellcheck', ['--version']).status === 0

describe('scripts', () => {
  it('have the names of their stages', () => {
    const scripts = readdirSync(folder).filter((name) => name.endsWith('.sh'))
    expect(stages.map((stage) => `${stage.name}.sh`)).toEqual(scripts.sort())
  })

  it.each(stages.map((stage) => [stage.name, stage] as const))('%s has its row in docs/stages.md', (name) => {
    const page = readFileSync(new URL('../../../docs/stages.md', import.meta.url), 'utf8')
    const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
    const row = rows.find(([, cell]) => cell === `\`${name}\``)
    expect(row?.[2] ?? '', `docs/stages.md needs a row: | \`${name}\` | what it does |`).toMatch(/^\S.{20}/)
  })

  it.each(stages.map((stage) => [stage.name, stage] as const))('%s has the header of all', (name, stage) => {
    const [shebang, title, uses, body] = scriptOf(stage).split('\n')
    expect(shebang).toBe('#!/bin/sh')
    expect(title).toBe(`# ${name}.sh: ${stage.spec.summary}.`)
    expect(uses).toMatch(/^# uses: \S.* {4}leaves: \S/)
    expect(body).toBe('set -eu')
  })

  it.each(stages.map((stage) => [stage.name, stage] as const))(
    '%s avoids what hides errors',
    (_name, stage) => {
      const lines = scriptOf(stage)
        .split('\n')
        .filter((line) => !/^\s*#/.test(line))
      expect(lines.filter((line) => /\bset -x|\|\| true\b.*\|/.test(line))).toEqual([])
      // Appending is what makes a second run differ from the first; a script may append to its own scratch files.
      expect(lines.filter((line) => />>/.test(line) && !/\$scratch/.test(line))).toEqual([])
    },
  )

  it.each(stages.map((stage) => stage.name))('%s parses', (name) => {
    execFileSync('sh', ['-n', `${folder}${name}.sh`])
  })

  // Skipped where shellcheck, the judge, is not there; in CI that is a failure.
  it.skipIf(!shellcheck && process.env.CI !== 'true')(
    'satisfy shellcheck (skipped where that is missing, but in CI)',
    () => {
      const { stdout, status } = spawnSync(
        'shellcheck',
        stages.map((stage) => `${folder}${stage.name}.sh`),
        { encoding: 'utf8' },
      )
      expect(stdout).toBe('')
      expect(status).toBe(0)
    },
  )
})

describe('declarations', () => {
  /** What the engine gives to every stage, or to every stage with files. */
  const common = ['SOURCE_DATE_EPOCH', 'STAGE_FILES']

  it.each(stages.map((stage) => [stage.name, stage] as const))(
    '%s gives what its script demands',
    (_name, stage) => {
      const matches = [...scriptOf(stage).matchAll(/"\$\{([A-Z_]+)(:?)\?\}"/g)]
      const demanded = matches.map((match) => match[1])
      const filled = matches.filter((match) => match[2] === ':').map((match) => match[1])
      for (const image of images) {
        const environment = stage.spec.environment?.(settingsOf(stage), image) ?? {}
        expect(Object.keys(environment).sort()).toEqual(
          demanded.filter((name) => !common.includes(name ?? '')).sort(),
        )
        for (const name of demanded) expect(scriptOf(stage).split('\n')[2]).toContain(name)
        // `:?` refuses an empty value too.
        expect(filled.filter((name) => environment[name ?? ''] === '')).toEqual([])
      }
    },
  )

  it.each(stages.map((stage) => [stage.name, stage] as const))('%s leaves absolute paths', (_name, stage) => {
    for (const image of images) {
      const leaves = stage.spec.leaves?.(settingsOf(stage), image) ?? []
      expect(leaves.filter((path) => !/^\/[^ ]+[^/]$/.test(path))).toEqual([])
    }
  })

  it.each(stages.map((stage) => [stage.name, stage] as const))(
    '%s delivers files that exist',
    (_name, stage) => {
      const files = stage.spec.files?.(
        settingsOf(stage),
        imageOf('trixie', { arch: 'x86_64', debianArch: 'amd64' }),
      )
      for (const path of Object.values(files ?? {})) {
        expect(readdirSync(new URL(path, stage.spec.from))).not.toEqual([])
      }
    },
  )

  it.each(stages.map((stage) => [stage.name, stage] as const))(
    '%s refuses a setting that it does not know',
    (name) => {
      const spec = stages.find((stage) => stage.name === name)?.spec
      expect(z.strictObject(spec?.settings ?? {}).safeParse({ no_such_setting: 1 }).success).toBe(false)
    },
  )
})

describe('packages', () => {
  it.each(images.map((image) => [image.variant, image] as const))(
    '%s lists each name once',
    (_variant, image) => {
      const packages = systemvmPackages(image.suite, image.debianArch)
      expect(packages.filter((name, index) => packages.indexOf(name) !== index)).toEqual([])
      expect(packages.filter((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name))).toEqual([])
    },
  )

  it('follow the suite and the machine', () => {
    expect(systemvmPackages('bookworm', 'amd64')).toContain('openjdk-17-jre-headless')
    expect(systemvmPackages('trixie', 'amd64')).toContain('openjdk-21-jre-headless')
    expect(systemvmPackages('trixie', 'amd64')).toContain('open-vm-tools')
    expect(systemvmPackages('trixie', 'arm64')).not.toContain('open-vm-tools')
    expect(systemvmPackages('trixie', 'arm64')).toContain('dmidecode')
  })
})

describe('apt_upgrade', () => {
  const image = imageOf('trixie', { arch: 'x86_64', debianArch: 'amd64' })
  const environment = (stage: StageUse, mirror = image.mirror) =>
    stage.spec.environment?.(settingsOf(stage), { ...image, mirror })

  it('takes backports only when asked to', () => {
    expect(environment(apt_upgrade())).toMatchObject({ BACKPORTS: 'no' })
    expect(environment(apt_upgrade({ backports: true }))).toMatchObject({ BACKPORTS: 'yes' })
  })

  it('accepts expired sources of a snapshot only', () => {
    expect(environment(apt_upgrade())).toMatchObject({ SNAPSHOT: 'no' })
    const mirror = { ...image.mirror, snapshot: '20261101T000000Z' }
    expect(environment(apt_upgrade(), mirror)).toMatchObject({ SNAPSHOT: 'yes' })
  })
})

describe('configure_grub', () => {
  const image = imageOf('trixie', { arch: 'x86_64', debianArch: 'amd64' })
  const words = (stage: StageUse) =>
    stage.spec.environment?.(settingsOf(stage), image).KERNEL_ARGUMENTS?.split(' ') ?? []

  it('has a damaged root checked and repaired, and no shell that waits for somebody', () => {
    expect(words(configure_grub())).toEqual(
      expect.arrayContaining(['fsck.mode=force', 'fsck.repair=yes', 'panic=10']),
    )
  })

  it('uses no word with %, which is how Xen hands over words of a system VM', () => {
    expect(words(configure_grub()).filter((word) => word.includes('%'))).toEqual([])
  })

  it("lets the pipeline's own words come last, and so win", () => {
    expect(words(configure_grub({ kernelArguments: ['fsck.mode=auto'] })).at(-1)).toBe('fsck.mode=auto')
  })
})

describe('authorized_keys', () => {
  const ed25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIGXrYzXRJzBmoPWx0lpgpFTpgwDQAR4oS7MRZVhJ9SBk'

  it.each([
    ['with a comment', `ssh-ed25519 ${ed25519} someone@example.org, at work`],
    ['without one', `ssh-ed25519 ${ed25519}`],
  ])('takes a key %s', (_what, key) => {
    expect(faultsOf(authorized_keys({ keys: [key] }))).toEqual([])
  })

  it.each([
    ['options', `from="10.0.0.1" ssh-ed25519 ${ed25519}`, 'it starts with "from="10.0.0.1""'],
    ['two lines', `ssh-ed25519 ${ed25519}\nssh-ed25519 ${ed25519}`, 'line break'],
    ['a newline at its end', `ssh-ed25519 ${ed25519}\n`, 'line break'],
    ['an unknown type', `ssh-dss ${ed25519}`, 'it starts with "ssh-dss"'],
    ['another type inside', `ssh-rsa ${ed25519}`, 'is not such a key'],
    ['no blob', 'ssh-ed25519', 'not base64'],
    ['a blob that is not base64', 'ssh-ed25519 AAAA!AAA', 'not base64'],
    ['a blob cut short', `ssh-ed25519 ${ed25519.slice(0, -8)}`, 'truncated'],
    ['a blob of a type only', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5', 'truncated'],
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----', 'private key'],
    ['nothing', '', 'it starts with ""'],
  ])('refuses %s', (_what, key, fault) => {
    const faults = faultsOf(authorized_keys({ keys: [key] }))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^is not an OpenSSH public key: /)
    expect(faults[0]).toContain(fault)
  })

  it('says which key is wrong', () => {
    const stage = authorized_keys({ keys: [`ssh-ed25519 ${ed25519}`, 'nonsense'] })
    const checked = z.strictObject(stage.spec.settings ?? {}).safeParse(stage.settings)
    expect(checked.error?.issues.map((issue) => issue.path)).toEqual([['keys', 1]])
  })
})

describe('configure_login', () => {
  it.each([
    '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7',
    `$6$saltsalt$${'a'.repeat(86)}`,
    `$6$rounds=10000$saltsalt$${'a'.repeat(86)}`,
    `$5$saltsalt$${'a'.repeat(43)}`,
  ])('takes the hash %s', (rootPasswordHash) => {
    expect(faultsOf(configure_login({ rootPasswordHash }))).toEqual([])
  })

  it.each([
    ['a password', 'password'],
    ['nothing', ''],
    ['MD5', '$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/'],
    ['a hash cut short', `$6$saltsalt$${'a'.repeat(85)}`],
    ['a field separator', `$6$salt:alt$${'a'.repeat(86)}`],
    ['a newline', `$6$saltsalt$${'a'.repeat(86)}\n`],
  ])('refuses %s', (_what, rootPasswordHash) => {
    expect(faultsOf(configure_login({ rootPasswordHash }))).toEqual([
      expect.stringMatching(/^must be a crypt\(3\) hash/),
    ])
  })
})

describe('other settings', () => {
  it.each([
    ['a kernel argument with a space', configure_grub({ kernelArguments: ['quiet splash'] })],
    ['a kernel argument with a quote', configure_grub({ kernelArguments: ['init="/bin/sh"'] })],
    ['a module with a dash', configure_conntrack({ modules: ['nf-nat'] })],
    ['no module', configure_conntrack({ modules: [] })],
    ['a name server by name', configure_networking({ nameservers: ['dns.example.org'] })],
  ])('refuse %s', (_what, stage) => {
    expect(faultsOf(stage)).toHaveLength(1)
  })
})
