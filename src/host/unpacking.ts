/** How much memory may be taken to unpack a file from elsewhere: one of 100 kB can ask for gigabytes. */

/** `xz -9` takes 65 MiB, `zstd --long=27` 128 MiB. bzip2 and gzip take a few. */
export const unpackingMiB = 256

export const xzLimit = `--memlimit-decompress=${unpackingMiB}MiB`
export const zstdLimit = `--memory=${unpackingMiB}MiB`

/** Whether xz or zstd has refused a file that takes more. */
export function takesMoreMemory(complaints: string): boolean {
  return /Memory usage limit reached|requires too much memory/.test(complaints)
}
