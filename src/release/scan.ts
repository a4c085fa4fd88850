/** Asks a scanner on this host which known vulnerabilities the packages of an image have. */

import { join } from 'node:path'
import { PackageURL } from 'packageurl-js'
import type { Package } from '../debian/dpkg-status.ts'
import { withoutArchitecture } from '../debian/dpkg-status.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { execa } from '../host/execa.ts'
import { findProgram } from '../host/tools.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { writeFile } from '../host/writing.ts'
import { parseJson } from '../text.ts'
import { type Answer, type Scanner, scanners } from './scanners.ts'

export interface FoundScanner {
  readonly scanner: Scanner
  /** Path of its program. */
  readonly path: string
}

/** Undefined if this host has none. */
export async function findScanner(): Promise<FoundScanner | undefined> {
  for (const scanner of scanners) {
    const path = await findProgram(scanner.name)
    if (path !== undefined) return { scanner, path }
  }
  return undefined
}

/** @throws PipelineError `scan-failed` */
export async function scanPackages(
  { scanner, path }: FoundScanner,
  packages: readonly Package[],
  debianVersion: number,
  signal: AbortSignal,
): Promise<Answer> {
  return inWorkFolder(async (folder) => {
    const bill = join(folder, 'bill.cdx.json')
    await writeFile(bill, renderScannedBill(packages, debianVersion))
    const result = await execa(path, scanner.words(bill), {
      reject: false,
      stdin: 'ignore',
      maxBuffer: mostAnswerBytes,
      timeout: mostMinutes * 60_000,
      cancelSignal: signal,
    })
    signal.throwIfAborted()
    if (result.failed) {
      const said = `${result.stderr ?? ''}`.trim().split('\n').at(-1)
      throw scanFailed(scanner.name, said || (result.shortMessage ?? 'no reason was given'))
    }
    try {
      return scanner.read(parseJson(result.stdout))
    } catch {
      throw scanFailed(scanner.name, 'its answer has another format than this program knows')
    }
  })
}

/**
 * The SBOM in a form that scanners understand for Debian packages: vulnerabilities are listed by source package and by Debian
 * version, and the two scanners look for each of these in different fields.
 */
export function renderScannedBill(packages: readonly Package[], debianVersion: number): string {
  const system = `debian-${debianVersion}`
  const components = packages.map(({ name, version, architecture, source }) => {
    const qualifiers = { arch: architecture, distro: system, upstream: `${source.name}@${source.version}` }
    const plain = withoutArchitecture(name)
    const purl = new PackageURL('deb', 'debian', plain, version, qualifiers, undefined).toString()
    return {
      type: 'library',
      'bom-ref': purl,
      name: plain,
      version,
      purl,
      properties: [
        { name: 'aquasecurity:trivy:SrcName', value: source.name },
        { name: 'aquasecurity:trivy:SrcVersion', value: source.version },
      ],
    }
  })
  return JSON.stringify({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    components: [
      { type: 'operating-system', 'bom-ref': system, name: 'debian', version: `${debianVersion}` },
      ...components,
    ],
    dependencies: [{ ref: system, dependsOn: components.map(({ purl }) => purl) }],
  })
}

// --- internal ---

/** Five hundred packages have two thousand matches of 10 kB each. */
const mostAnswerBytes = 256 * 1024 ** 2

/** The first call downloads a database. */
const mostMinutes = 30

function scanFailed(name: string, why: string): PipelineError {
  return new PipelineError({
    code: 'scan-failed',
    message: `${name} cannot say which vulnerabilities the packages have: ${why.slice(0, 500)}`,
    hint: `run ${name} by itself to see what it lacks, such as its database; or release without --scan.`,
    exitCode: exitCodes.hostNotFit,
  })
}
