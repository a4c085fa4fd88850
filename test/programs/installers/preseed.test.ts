import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ImageFacts } from '../../../src/config/image.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { renderSources } from '../../../src/debian/archives.ts'
import type { Partition } from '../../../src/disk/layout.ts'
import {
  installerKernelArguments,
  type PreseedView,
  preseedView,
  renderPreseed,
} from '../../../src/installers/debian-installer/preseed.ts'

const partition = (fields: Partial<Partition>): Partition => ({
  filesystem: 'ext4',
  grow: false,
  primary: false,
  bootable: false,
  reservedPercent: 0,
  ...fields,
})

const boot = partition({ mount: '/boot', filesystem: 'ext2', sizeMiB: 400, primary: true, bootable: true })
const swap = partition({ filesystem: 'swap', sizeMiB: 512 })
const root = partition({ mount: '/', grow: true })

const trixie: ImageFacts & Pick<ResolvedImage, 'leaveOut'> = {
  name: 'systemvmtemplate',
  release: '4.22.0',
  sourceDateEpoch: 0,
  variant: 'trixie-x86_64',
  suite: 'trixie',
  debianVersion: 13,
  arch: 'x86_64',
  debianArch: 'amd64',
  hostname: 'systemvm',
  domain: 'apache.org',
  locale: 'en_US.UTF-8',
  timezone: 'Etc/UTC',
  keyboard: 'us',
  mirror: {
    debian: 'http://mirror.example.org:8080/debian',
    security: 'http://mirror.example.org:8080/debian-security',
    components: ['main'],
    keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
  },
  account: { name: 'cloud', fullName: 'Cloud User', groups: ['admin', 'video'] },
  kernelPackage: 'linux-image-amd64',
  disk: { sizeMiB: 5040, partitions: [boot, swap, root] },
  targets: ['kvm'],
  leaveOut: ['*/lib/modules/*/kernel/sound/*'],
}
const bookworm: typeof trixie = {
  ...trixie,
  suite: 'bookworm',
  variant: 'bookworm-x86_64',
  debianVersion: 12,
}

const packages = ['openssh-server', 'acpid', 'acpid']
const view = preseedView(trixie, packages)

/** Answers by question, as the installer reads the file: lines joined, comments left out, `owner key type value`. */
function answers(text: string): ReadonlyMap<string, string> {
  const lines = text.replaceAll(/ \\\n\s*/g, ' ').split('\n')
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [, key, value] = /^\S+ (\S+) \S+ ?(.*)$/.exec(line) ?? []
        return [key ?? line, value ?? ''] as const
      }),
  )
}

/** The view once for each text in it, by its path, with that text spoiled by a newline. */
function texts(of: PreseedView): [string, PreseedView][] {
  const walk = (value: unknown, path: string): [string, unknown][] => {
    if (typeof value === 'string') return [[path, `${value}\nx`]]
    if (Array.isArray(value)) return walk(value[0], `${path}.0`).map(([at, text]) => [at, [text]])
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([key, inner]) =>
      walk(inner, `${path}.${key}`).map(([at, spoiled]): [string, unknown] => [
        at,
        { ...value, [key]: spoiled },
      ]),
    )
  }
  return walk(of, 'view') as [string, PreseedView][]
}

/** The recipe in partman's own terms. */
function recipe(image: typeof trixie) {
  const text = answers(renderPreseed(preseedView(image, packages))).get('partman-auto/expert_recipe') ?? ''
  const [name, entries = ''] = text.split(' :: ')
  const partitions = entries.split(' .').filter((entry) => entry.trim() !== '')
  return {
    name,
    partitions: partitions.map((entry) => {
      const [minimum, priority, maximum, filesystem] = entry.trim().split(' ')
      const words = [...entry.matchAll(/(\S+)\{ (?:(\S+) )?\}/g)].map(([, key, value]) => [
        key,
        value ?? true,
      ])
      return {
        minimum: Number(minimum),
        priority: Number(priority),
        maximum: Number(maximum),
        filesystem,
        words: Object.fromEntries(words) as Record<string, string | true>,
      }
    }),
  }
}

describe('the recipe', () => {
  const { name, partitions } = recipe(trixie)
  const [first, second, last] = partitions

  it('has the partitions of the disk in their order, with what each is', () => {
    expect(name).toBe('systemvmtemplate')
    expect(partitions.map(({ filesystem, words }) => [filesystem, words.mountpoint])).toEqual([
      ['ext2', '/boot'],
      ['linux-swap', undefined],
      ['ext4', '/'],
    ])
    expect(first?.words).toMatchObject({ $primary: true, $bootable: true, reserved_for_root: '0' })
    expect(second?.words).toEqual({ method: 'swap', format: true })
    expect(last?.words).toMatchObject({ method: 'format', filesystem: 'ext4', reserved_for_root: '0' })
    expect(last?.words).not.toHaveProperty('$primary')
  })

  it('gives fixed partitions no less than their size, in millions of bytes, and no room to grow', () => {
    expect(first).toMatchObject({ minimum: 420, priority: 420, maximum: 420 })
    expect(second).toMatchObject({ minimum: 537, priority: 537, maximum: 537 })
  })

  it('lets the last one grow without limit', () => {
    expect(last?.maximum).toBe(-1)
    // partman hands out free space by what the priority is above the minimum.
    expect(last?.priority).toBeGreaterThan(last?.minimum ?? Number.POSITIVE_INFINITY)
  })

  it.each([1260, 1512, 5040, 10080, 126 * 1000])('fits a disk of %i MiB with its minimum sum', (sizeMiB) => {
    const sum = recipe({ ...trixie, disk: { sizeMiB, partitions: [boot, swap, root] } }).partitions.reduce(
      (total, { minimum }) => total + minimum,
      0,
    )
    // A recipe above the disk's size would be replaced by a stock one without a word.
    expect(sum * 1_000_000).toBeLessThan(sizeMiB * 1024 * 1024 - 8_000_000)
  })

  it.each([
    ['too small a disk', { sizeMiB: 1134, partitions: [boot, swap, root] }, 'leave'],
    ['no growing partition', { sizeMiB: 5040, partitions: [boot, swap] }, 'must grow'],
    ['a growing one that is not last', { sizeMiB: 5040, partitions: [boot, root, swap] }, 'must be the last'],
    ['a primary after a logical', { sizeMiB: 5040, partitions: [swap, boot, root] }, 'order'],
  ])('is refused for %s', (_case, disk, message) => {
    const refused = expect(() => preseedView({ ...trixie, disk }, packages))
    refused.toThrow(expect.objectContaining({ code: 'installer-disk', exitCode: 2 }))
    refused.toThrow(message)
  })
})

describe('the preseed', () => {
  const said = answers(renderPreseed(view))

  it('names the mirror in the parts that the installer asks for', () => {
    expect(said.get('mirror/http/hostname')).toBe('mirror.example.org:8080')
    expect(said.get('mirror/http/directory')).toBe('/debian')
    expect(said.get('mirror/suite')).toBe('trixie')
    const secure = { ...trixie, mirror: { ...trixie.mirror, debian: 'https://mirror.example.org/debian' } }
    expect(answers(renderPreseed(preseedView(secure, packages))).get('mirror/https/hostname')).toBe(
      'mirror.example.org',
    )
  })

  it('leads a guest to the mirror by its host, which alone knows how the mirror is reached', () => {
    const secure = { ...trixie, mirror: { ...trixie.mirror, debian: 'https://mirror.example.org/debian' } }
    const host = { address: '10.0.2.2', httpPort: 1, syslogPort: 2, proxyPort: 3128 }
    const served = answers(renderPreseed(preseedView(secure, packages, [], host)))
    expect(served.get('mirror/protocol')).toBe('http')
    expect(served.get('mirror/http/hostname')).toBe('mirror.example.org')
    expect(served.get('mirror/http/proxy')).toBe('http://10.0.2.2:3128/')
    // What it installs goes to the mirror itself, and so does an installer that somebody else runs with this preseed.
    expect(served.get('preseed/late_command')).toContain('URIs: https://mirror.example.org/debian')
    const rendered = answers(renderPreseed(preseedView(secure, packages)))
    expect(rendered.get('mirror/protocol')).toBe('https')
    expect(rendered.get('mirror/https/proxy')).toBe('')
  })

  it('lets nobody log in with a password', () => {
    expect(said.get('passwd/root-login')).toBe('true')
    // Debian 13's installer takes "!" for root as no answer, and asks.
    expect(said.get('passwd/root-password-crypted')).toBe('*')
    expect(said.get('passwd/user-password-crypted')).toBe('!')
    expect(said.get('passwd/username')).toBe('cloud')
    expect(said.get('passwd/user-default-groups')).toBe('')
    expect([...said.keys()].filter((key) => /-password(-again)?$/.test(key))).toEqual([])
  })

  it('takes no more than it is told to', () => {
    expect(said.get('pkgsel/include')).toBe('acpid openssh-server')
    expect(said.get('pkgsel/run_tasksel')).toBe('false')
    expect(said.get('tasksel/first')).toBe('')
    expect(said.get('apt-setup/services-select')).toBe('')
    expect(said.get('apt-setup/non-free-firmware')).toBe('false')
    expect(said.get('hw-detect/firmware-lookup')).toBe('never')
    expect(said.get('base-installer/kernel/image')).toBe('linux-image-amd64')
  })

  it('names many packages in few lines', () => {
    const many = Array.from({ length: 200 }, (_, index) => `package-${100 + index}`)
    const text = renderPreseed(preseedView(trixie, many))
    expect(answers(text).get('pkgsel/include')?.split(' ')).toEqual(many)
    const lines = text.split('\n').filter((line) => line.includes('package-'))
    expect(lines.length).toBeLessThan(30)
    expect(Math.max(...lines.slice(1).map((line) => line.length))).toBeLessThan(110)
  })

  it('uses the archive areas that the mirror is configured with', () => {
    const components = ['main', 'contrib', 'non-free-firmware']
    const wider = answers(
      renderPreseed(preseedView({ ...trixie, mirror: { ...trixie.mirror, components } }, packages)),
    )
    expect(wider.get('apt-setup/contrib')).toBe('true')
    expect(wider.get('apt-setup/non-free')).toBe('false')
    expect(wider.get('apt-setup/non-free-firmware')).toBe('true')
  })

  it('can leave out groups and the full name of the account', () => {
    const plain = { ...trixie, account: { name: 'cloud', fullName: '', groups: [] } }
    const text = answers(renderPreseed(preseedView(plain, packages)))
    expect(text.get('preseed/late_command')).not.toMatch(/group/)
    expect(text.get('passwd/user-fullname')).toBe('cloud')
  })

  it('powers off at the end', () => {
    expect(said.get('debian-installer/exit/poweroff')).toBe('true')
  })

  it('indents what continues a value, so that none of it is taken for a comment', () => {
    const lines = renderPreseed(view).split('\n')
    const inside = lines.filter((_line, index) => lines[index - 1]?.endsWith('\\'))
    expect(inside.length).toBeGreaterThan(5)
    for (const line of inside) expect(line).toMatch(/^ {2}\S/)
  })

  const found = spawnSync('debconf-set-selections', ['--help']).error === undefined
  if (!found && process.env.CI === 'true') throw new Error('CI lacks debconf-set-selections')
  // Skipped where debconf, the judge, is not there.
  it.skipIf(!found).each([bookworm, trixie])(
    'is accepted by debconf for $variant (skipped where debconf-set-selections is missing)',
    (image) => {
      const check = (input: string) =>
        spawnSync('debconf-set-selections', ['--checkonly'], { input, encoding: 'utf8' })
      const text = renderPreseed(preseedView(image, packages))
      expect(check(text)).toMatchObject({ status: 0, stderr: '' })
      // The judge does judge, though it exits with 0 for all but a syntax error.
      const misspelled = check(text.replace('clock-setup/utc boolean', 'clock-setup/utc bool'))
      expect(misspelled.stderr).toContain('Unknown type bool')
    },
  )
})

describe('the first and the last command of the installer', () => {
  let folder: string
  let calls: string
  /** Files in the target's /etc while packages are installed. */
  let duringInstallation: readonly string[]
  let afterKernel: string
  const initramfsSettings = '# Default is yes\nupdate_initramfs=yes\n\nbackup_initramfs=no\n'

  /** As the installer writes it. */
  const installedFstab = [
    '# / was on /dev/vda6 during installation',
    'UUID=5905b6c9 /               ext4    errors=remount-ro 0       1',
    'UUID=136a2a9e /boot           ext2    defaults        0       2',
    'UUID=7527beb8 none            swap    sw              0       0',
    '/dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0',
    '',
  ].join('\n')

  /** Runs one in a small root, with the installer's own programs replaced by ones that say how they were called. */
  function run(command: string): string {
    const inFolder = command.replaceAll(
      /\/tmp\/target|\/target|\/tmp\/keep-daemons-off|\/usr\/lib\/(finish-install|base-installer|pre-pkgsel)\.d/g,
      (path) => folder + path,
    )
    const result = spawnSync('sh', ['-c', inFolder], {
      encoding: 'utf8',
      env: { PATH: `${folder}/bin:${process.env.PATH}` },
    })
    expect(result).toMatchObject({ status: 0, stderr: '' })
    return result.stdout
  }

  /** The whole course of an installation, as far as the preseed's commands see it. */
  function install(image: typeof trixie) {
    const all = answers(renderPreseed(preseedView(image, packages)))
    run(all.get('preseed/early_command') ?? '')
    // debootstrap is through: the installer runs what lies in its folder.
    run('for hook in /usr/lib/base-installer.d/*; do "$hook"; done')
    // Its kernel comes next, whose scripts run in the target.
    const script = readFileSync(join(folder, 'target/etc/kernel/postinst.d/zz-initramfs-once'), 'utf8')
    run(script.replaceAll(' /etc/', ' /target/etc/'))
    afterKernel = target('etc/initramfs-tools/update-initramfs.conf')
    duringInstallation = spawnSync('find', [join(folder, 'target/etc'), '-type', 'f', '-printf', '%P\n'], {
      encoding: 'utf8',
    }).stdout.split('\n')
    calls = run(all.get('preseed/late_command') ?? '')
  }

  const target = (path: string) => readFileSync(join(folder, 'target', path), 'utf8')
  const has = (path: string) => existsSync(join(folder, 'target', path))

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'target-'))
    const put = (path: string, text = 'x') => {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text, { mode: 0o755 })
    }
    put('bin/in-target', '#!/bin/sh\necho "$@"\n')
    put('tmp/.keep')
    put('usr/lib/finish-install.d/95umount', '#!/bin/sh -e\necho unmounted\n')
    for (const path of [
      ...['etc/initramfs-tools/conf.d/driver-policy', 'etc/apt/apt.conf.d/00InstallRecommends'],
      ...[
        'etc/apt/sources.list',
        'etc/apt/sources.list.d/x',
        'etc/apt/apt.conf',
        'etc/dpkg/dpkg.cfg.d/x',
        'usr/sbin/x',
      ],
      ...['etc/ssh/ssh_host_rsa_key', 'etc/ssh/ssh_host_rsa_key.pub', 'etc/ssh/sshd_config'],
      ...['tmp/hsperfdata_root/1', 'tmp/.hidden'],
      ...['etc/machine-id', 'usr/share/lintian/x'],
    ]) {
      put(`target/${path}`)
    }
    for (const name of ['10laptop-detect', '20update-policy', '90popcon']) put(`usr/lib/pre-pkgsel.d/${name}`)
    put('target/etc/initramfs-tools/update-initramfs.conf', initramfsSettings)
    put('target/etc/fstab', installedFstab)
    // As systemd-resolved would leave it: pointing at a file of the installer's.
    put('outside', "the installer's own")
    symlinkSync(join(folder, 'outside'), join(folder, 'target/etc/resolv.conf'))
    install(trixie)
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('has the initramfs know the type of the root, and how large /run is to be, before the first one is made', () => {
    expect(target('etc/initramfs-tools/conf.d/systemvm-root')).toBe(
      'FSTYPE=ext4\nRUNSIZE=20%\nSOURCE_DATE_EPOCH=946684800\n',
    )
  })

  it('waits as long for swap and /boot as the bootstrap installer has it do', () => {
    const late = 'nofail,x-systemd.device-timeout='
    const wanted = installedFstab
      .replace('defaults', `defaults,${late}5min`)
      .replace(' sw ', ` sw,${late}30s `)
    expect(target('etc/fstab')).toBe(wanted)
  })

  it('makes one initramfs after that of the kernel: with every driver, at the end', () => {
    expect(afterKernel).toContain('\nupdate_initramfs=no\n')
    expect(has('etc/initramfs-tools/conf.d/driver-policy')).toBe(false)
    expect(has('etc/kernel/postinst.d/zz-initramfs-once')).toBe(false)
    // Letter by letter, or dpkg would ask about it at an upgrade.
    expect(target('etc/initramfs-tools/update-initramfs.conf')).toBe(initramfsSettings)
    expect(calls).toContain('update-initramfs -u -k all')
  })

  it('adds nothing for the machine that it runs on', () => {
    expect(readdirSync(join(folder, 'usr/lib/pre-pkgsel.d'))).toEqual(['20update-policy'])
  })

  it('leaves nothing by which two machines would be one', () => {
    expect(target('etc/machine-id')).toBe('')
    expect(has('etc/ssh/ssh_host_rsa_key') || has('etc/ssh/ssh_host_rsa_key.pub')).toBe(false)
    expect(has('etc/ssh/sshd_config')).toBe(true)
  })

  it('leaves nothing in /tmp, where nobody would see it below a tmpfs', () => {
    expect(readdirSync(join(folder, 'target/tmp'))).toEqual([])
  })

  it('leaves no name server, and does not follow a link out of the target', () => {
    expect(target('etc/resolv.conf')).not.toMatch(/^nameserver/m)
    expect(readFileSync(join(folder, 'outside'), 'utf8')).toBe("the installer's own")
  })

  it('keeps daemons from starting', () => {
    // Not before the last step of all, since every command in the target takes away what keeps them off.
    expect(has('usr/sbin/policy-rc.d')).toBe(false)
    expect(spawnSync(join(folder, 'usr/lib/finish-install.d/95umount')).stdout.toString()).toBe('unmounted\n')
    expect(spawnSync(join(folder, 'target/usr/sbin/policy-rc.d')).status).toBe(101)
  })

  it('has packages installed without documentation and translations, from the first after debootstrap on', () => {
    expect(duringInstallation).toEqual(
      expect.arrayContaining(['dpkg/dpkg.cfg.d/systemvm', 'apt/apt.conf.d/00while-installing']),
    )
    expect(has('etc/apt/apt.conf.d/00while-installing')).toBe(false)
  })

  it('leaves the package sources of the bootstrap installer, and dpkg without documentation but copyright files', () => {
    expect(target('etc/apt/sources.list.d/debian.sources')).toBe(renderSources(trixie))
    expect(has('etc/apt/sources.list') || has('etc/apt/apt.conf')).toBe(false)
    expect(has('etc/apt/apt.conf.d/00InstallRecommends')).toBe(false)
    const dpkg = target('etc/dpkg/dpkg.cfg.d/systemvm')
    expect(dpkg).toMatch(/^path-exclude=\/usr\/share\/doc\/\*\n/)
    expect(dpkg).toMatch(
      /\npath-exclude=\*\/lib\/modules\/\*\/kernel\/sound\/\*\npath-include=\/usr\/share\/doc\/\*\/copyright\n$/,
    )
    expect(calls).toContain('find /usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete')
    expect(has('usr/share/lintian/x')).toBe(false)
  })

  it('makes the groups of the account before it joins them', () => {
    const order = ['groupadd --force --system admin', 'groupadd --force --system video']
    const lines = calls.split('\n').filter((line) => /group|usermod/.test(line))
    expect(lines).toEqual([...order, 'usermod --shell /bin/bash --groups admin,video cloud'])
  })

  it('refuses a name that would end a quotation', () => {
    const account = { ...trixie.account, groups: ["admin'; reboot; '"] }
    expect(() => preseedView({ ...trixie, account }, packages)).toThrow('quote')
  })
})

describe('a value that debconf would read as something else is refused', () => {
  it.each([
    ['a newline', 'Cloud\nd-i passwd/root-password password x', 'newline'],
    ['a carriage return', 'Cloud\r', 'control character'],
    ['a leading space', ' Cloud', 'space'],
    ['a trailing space', 'Cloud ', 'space'],
    ['a backslash at its end', 'Cloud\\', 'backslash'],
    ['nothing in it', '', 'empty'],
  ])('%s', (_case, fullName, why) => {
    const render = () => renderPreseed({ ...view, account: { ...view.account, fullName } })
    expect(render).toThrow(expect.objectContaining({ code: 'preseed-value', exitCode: 2 }))
    expect(render).toThrow(why)
  })

  it.each(texts(view))('a newline in %s', (_path, spoiled) => {
    expect(() => renderPreseed(spoiled)).toThrow('newline')
  })

  it('in a list', () => {
    expect(() => renderPreseed({ ...view, packages: ['acpid', 'x\ny'] })).toThrow('newline')
    expect(() => renderPreseed({ ...view, packages: [] })).toThrow('empty list')
  })

  it.each(Object.keys(view))('when %s is missing', (field) => {
    const { [field as keyof PreseedView]: _left, ...rest } = view
    expect(() => renderPreseed(rest as PreseedView)).toThrow()
  })

  it('when a field within one is missing', () => {
    expect(() => renderPreseed({ ...view, mirror: {} as PreseedView['mirror'] })).toThrow('missing')
  })
})

describe('the kernel line', () => {
  const host = { address: '10.0.2.2', httpPort: 8000, syslogPort: 5514 }

  it('says what a preseed fetched over the network comes too late for', () => {
    const words = installerKernelArguments(trixie, host)
    expect(words).toEqual(
      expect.arrayContaining([
        'auto=true',
        'priority=critical',
        'url=http://10.0.2.2:8000/preseed.cfg',
        'hostname=systemvm',
        'domain=apache.org',
        'log_host=10.0.2.2',
        'log_port=5514',
        'DEBCONF_DEBUG=5',
      ]),
    )
    expect(words.at(-1)).toBe('---')
    // The kernel panics on more unknown variables than it has room for.
    expect(words.length).toBeLessThan(32)
  })

  it('names the suite of udebs where they have one of their own', () => {
    const mirror = { ...trixie.mirror, udebs: { suite: 'my-udebs' } }
    expect(installerKernelArguments({ ...trixie, mirror }, host)).toContain('mirror/udeb/suite=my-udebs')
    expect(installerKernelArguments(trixie, host).join(' ')).not.toContain('mirror/udeb')
  })

  it('refuses a word that would be two', () => {
    expect(() => installerKernelArguments({ ...trixie, domain: 'apache.org quiet' }, host)).toThrow('space')
  })
})
