import { runMarker } from './process.ts'

/**
 * Settings for a program that must do exactly what its words say, and nothing more: many also take options from variables, such as
 * TAR_OPTIONS, XZ_OPT, LBZIP2, UNZIP, PERL5OPT and GIT_DIR. The user's would change the bytes that they write, or what we believe
 * of a file.
 * @param more variables that it does get
 */
export function bareEnvironment(more: Readonly<Record<string, string>> = {}) {
  const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin', [runMarker]: run } = process.env
  return {
    extendEnv: false,
    env: { PATH, LC_ALL: 'C', ...(run === undefined ? {} : { [runMarker]: run }), ...more },
  } as const
}
