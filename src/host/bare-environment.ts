/**
 * Settings for a program that must do exactly what its words say, and nothing more: tar, gzip, bzip2 and others also take options
 * from variables such as TAR_OPTIONS and GZIP, so the user's would change the bytes that they write.
 */
export function bareEnvironment() {
  const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
  return { extendEnv: false, env: { PATH, LC_ALL: 'C' } } as const
}
