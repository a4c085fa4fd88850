/** The programs that this product runs: their oldest supported versions, and their Debian packages. */

import { type Arch, archs } from '../arch.ts'
import { isForeign } from './foreign.ts'

/** Who needs a tool. `rootless`: every build not run by root. `optional`: no fault if it is missing. */
export type ToolNeed = 'build' | 'rootless' | 'tests' | 'optional'

/** One program of the table. */
export interface Tool {
  readonly name: string
  readonly need: ToolNeed
  /** Its package in Debian and Ubuntu, if the name is the same in both. */
  readonly package: string
  /** Arguments that print its version; absent if the program has no such option. */
  readonly versionArguments?: readonly string[]
  /** Oldest version that works. Absent if every supported Debian has one. */
  readonly minimum?: string
  readonly plugin?: Plugin
  /** Path of a file that other programs read; absent for a program. */
  readonly file?: string
}

/** What a program also needs, from some version on. */
export interface Plugin {
  readonly since: string
  /** Its name in the program's list of plugins. */
  readonly name: string
  readonly listArguments: readonly string[]
  readonly installArguments: readonly string[]
}

/** The table, for images of one architecture. */
export function hostTools(arch: Arch = 'x86_64'): readonly Tool[] {
  return [
    // Debian 12's includes the QEMU builder; from 1.7 on, it is a plugin, which the template declares.
    {
      name: 'packer',
      need: 'build',
      package: 'packer',
      versionArguments: ['version'],
      minimum: '1.6',
      plugin: {
        since: '1.7',
        name: 'packer-plugin-qemu',
        listArguments: ['plugins', 'installed'],
        installArguments: ['plugins', 'install', 'github.com/hashicorp/qemu'],
      },
    },
    {
      name: `qemu-system-${arch}`,
      need: 'build',
      package: archs[arch].qemuPackage,
      versionArguments: ['--version'],
      minimum: '5.2',
    },
    {
      name: 'qemu-img',
      need: 'build',
      package: 'qemu-utils',
      versionArguments: ['--version'],
      minimum: '5.2',
    },
    // Debian 12's, the oldest version this product was built with.
    {
      name: 'mmdebstrap',
      need: 'build',
      package: 'mmdebstrap',
      versionArguments: ['--version'],
      minimum: '1.3',
    },
    // For `-d`, which fills a filesystem from a folder without mounting anything.
    { name: 'mke2fs', need: 'build', package: 'e2fsprogs', versionArguments: ['-V'], minimum: '1.45' },
    { name: 'debugfs', need: 'build', package: 'e2fsprogs', versionArguments: ['-V'], minimum: '1.45' },
    { name: 'sfdisk', need: 'build', package: 'fdisk', versionArguments: ['--version'] },
    { name: 'mkswap', need: 'build', package: 'util-linux', versionArguments: ['--version'] },
    { name: 'blkid', need: 'build', package: 'util-linux', versionArguments: ['--version'] },
    { name: 'mount', need: 'build', package: 'mount', versionArguments: ['--version'] },
    { name: 'gpgv', need: 'build', package: 'gpgv', versionArguments: ['--version'] },
    { name: 'tar', need: 'build', package: 'tar', versionArguments: ['--version'] },
    { name: 'zstd', need: 'build', package: 'zstd', versionArguments: ['--version'] },
    // These two leave no trace in an image, so their versions need no lock. xz reads package indexes.
    { name: 'flock', need: 'build', package: 'util-linux' },
    { name: 'xz', need: 'build', package: 'xz-utils' },
    { name: 'ssh-keygen', need: 'build', package: 'openssh-client' },
    { name: 'ssh', need: 'build', package: 'openssh-client' },
    // For the C library's crypt, with which `verify` tries known passwords.
    { name: 'perl', need: 'build', package: 'perl-base' },
    ...architectureTools(arch),
    { name: 'newuidmap', need: 'rootless', package: 'uidmap' },
    // Only for `store push` and `store pull`, which check for it themselves.
    { name: 'skopeo', need: 'tests', package: 'skopeo', versionArguments: ['--version'] },
    { name: 'git', need: 'optional', package: 'git', versionArguments: ['--version'] },
    // Only if `formats` asks for an archive; the build checks for them then.
    { name: 'lbzip2', need: 'tests', package: 'lbzip2', versionArguments: ['--version'] },
    { name: 'pigz', need: 'tests', package: 'pigz', versionArguments: ['--version'] },
    { name: 'bzip2', need: 'tests', package: 'bzip2' },
    { name: 'unzip', need: 'tests', package: 'unzip' },
    { name: 'cpio', need: 'tests', package: 'cpio', versionArguments: ['--version'] },
    { name: 'gpg', need: 'tests', package: 'gnupg', versionArguments: ['--version'] },
    { name: 'shellcheck', need: 'tests', package: 'shellcheck', versionArguments: ['--version'] },
    { name: 'debconf-set-selections', need: 'tests', package: 'debconf' },
    // Debian 12's, the oldest version that the payload runs on.
    {
      name: 'python3',
      need: 'tests',
      package: 'python3',
      versionArguments: ['--version'],
      minimum: '3.11',
    },
  ]
}

// --- internal ---

/** What this host also needs for images of an architecture. */
function architectureTools(arch: Arch): readonly Tool[] {
  const { uefi } = archs[arch]
  // On a PC, needed only if the disk has a partition for it, which the build and `verify` find out.
  const need: ToolNeed = uefi === undefined ? 'tests' : 'build'
  const foreign: readonly Tool[] = [
    // mmdebstrap uses it to find out whether programs of the architecture run.
    { name: 'arch-test', need: 'build', package: 'arch-test' },
    { name: `qemu-${arch}-static`, need: 'build', package: 'qemu-user-static' },
    { name: 'update-binfmts', need: 'build', package: 'binfmt-support' },
  ]
  const ofEfi = [
    { name: 'mkfs.vfat', package: 'dosfstools' },
    { name: 'mcopy', package: 'mtools' },
  ]
  return [
    ...ofEfi.map((tool) => ({ ...tool, need })),
    {
      name: 'UEFI firmware',
      need,
      ...(uefi ?? { package: 'ovmf', file: '/usr/share/OVMF/OVMF_CODE_4M.fd' }),
    },
    ...(isForeign(arch) ? foreign : []),
  ]
}
