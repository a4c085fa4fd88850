/** Machines that images are for. */

/** By its kernel name. `aarch64` has its room here; no variant uses it yet. */
export type Arch = 'x86_64' | 'aarch64'

/** The same machine in Debian's words. */
export type DebianArch = 'amd64' | 'arm64'
