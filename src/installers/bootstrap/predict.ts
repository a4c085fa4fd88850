/** What mmdebstrap would install from some indexes. apt's own solver finds out in seconds, without downloads. */

import { join } from 'node:path'
import type { ResolvedImage } from '../../config/resolved.ts'
import { aptListName, renderSourceLines } from '../../debian/archives.ts'
import type { LoadedArchive } from '../../debian/load-archives.ts'
import { stanzasOf } from '../../debian/packages-index.ts'
import { exitCodes, PipelineError, shownLines } from '../../errors.ts'
import { bareEnvironment } from '../../host/bare-environment.ts'
import { execa } from '../../host/execa.ts'
import { makeFolder } from '../../host/files.ts'
import { inWorkFolder } from '../../host/work-folder.ts'
import { writeFile } from '../../host/writing.ts'
import { basePackages } from '../base-system.ts'
import type { PredictedPackage } from '../installer.ts'

/**
 * Like mmdebstrap, installs essential packages first, and then the rest: installed packages affect how apt resolves the
 * dependencies of the rest.
 * @throws PipelineError `bootstrap-failed`
 */
export async function predictPackages(
  image: ResolvedImage,
  archives: readonly LoadedArchive[],
  signal: AbortSignal,
): Promise<readonly PredictedPackage[]> {
  return inWorkFolder(async (folder) => {
    await prepare(folder, image, archives)
    const essential = await simulate(folder, image, ['dist-upgrade'], signal)
    await writeFile(join(folder, 'status'), renderStatus(essential, archives))
    const rest = await simulate(folder, image, ['install', '--', ...basePackages(image)], signal)
    return [...essential, ...rest]
  })
}

/** Parses apt's lines about what it would install, `Inst libc6 (2.41-12 Debian:13.1/stable [amd64])`. */
export function parseSimulation(text: string): readonly PredictedPackage[] {
  return text.split('\n').flatMap((line) => {
    const [, name, version, architecture] =
      /^Inst (\S+) (?:\[\S*\] )?\((\S+)(?: .*)? \[([a-z0-9-]+)\]\)/.exec(line) ?? []
    return name && version && architecture ? [{ name, version, architecture }] : []
  })
}

// --- internal ---

/** A folder for apt with the sources and indexes of the image, and no packages. */
async function prepare(
  folder: string,
  image: ResolvedImage,
  archives: readonly LoadedArchive[],
): Promise<void> {
  await makeFolder(join(folder, 'lists', 'partial'))
  await makeFolder(join(folder, 'cache', 'archives', 'partial'))
  await writeFile(join(folder, 'sources.list'), `${renderSourceLines(image).join('\n')}\n`)
  // Read before command-line options and before the host's own settings, which are not the image's.
  await writeFile(join(folder, 'apt.conf'), 'Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n')
  await writeFile(join(folder, 'status'), '')
  for (const { request, indexes } of archives) {
    for (const [index, { text }] of indexes.entries()) {
      const path = `${request.components[index]}_binary-${request.arch}_Packages`
      await writeFile(
        join(folder, 'lists', `${aptListName(request.url)}_dists_${request.suite}_${path}`),
        text,
      )
    }
  }
}

async function simulate(
  folder: string,
  { debianArch }: ResolvedImage,
  words: readonly string[],
  signal: AbortSignal,
): Promise<readonly PredictedPackage[]> {
  const settings = {
    Dir: folder,
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::State::extended_states': join(folder, 'extended_states'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Architecture': debianArch,
    'APT::Architectures': debianArch,
    'APT::Install-Recommends': 'false',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const { exitCode, stdout, stderr } = await execa('apt-get', ['--simulate', '--yes', ...options, ...words], {
    cancelSignal: signal,
    reject: false,
    ...bareEnvironment({ APT_CONFIG: join(folder, 'apt.conf'), LC_ALL: 'C.UTF-8' }),
  })
  signal.throwIfAborted()
  if (exitCode === 0) return parseSimulation(stdout)
  throw new PipelineError({
    code: 'bootstrap-failed',
    message: `what would be installed is not known: apt-get ended with ${exitCode ?? 'no exit code'}`,
    hint: 'the last lines below say why.',
    exitCode: exitCodes.hostNotFit,
    details: { lastLines: `${stdout}\n${stderr}`.trim().split('\n').slice(-shownLines) },
  })
}

/** Package fields that decide what else is installed. */
const deciding = [
  ...['Package', 'Version', 'Architecture', 'Multi-Arch', 'Essential', 'Priority'],
  ...['Pre-Depends', 'Depends', 'Provides', 'Conflicts', 'Breaks', 'Replaces'],
]

/** dpkg's list of packages, as if these were installed. */
function renderStatus(packages: readonly PredictedPackage[], archives: readonly LoadedArchive[]): string {
  const versions = new Map(packages.map(({ name, version }) => [name, version]))
  const names = new Set(versions.keys())
  const stanzas = new Map<string, string>()
  for (const { text } of archives.flatMap(({ indexes }) => indexes)) {
    for (const fields of stanzasOf(text.toString(), names)) {
      const name = fields.get('Package') ?? ''
      if (fields.get('Version') !== versions.get(name)) continue
      const lines = deciding.flatMap((field) => (fields.has(field) ? [`${field}: ${fields.get(field)}`] : []))
      stanzas.set(name, `${lines.join('\n')}\nStatus: install ok installed\n`)
    }
  }
  return [...stanzas.values()].join('\n')
}
