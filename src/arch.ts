/** The architectures of images. */

/** Kernel name. `aarch64` is provided for; no variant uses it yet. */
export type Arch = 'x86_64' | 'aarch64'

/** The same in Debian's names. */
export type DebianArch = 'amd64' | 'arm64'
