/** The packages of an image as a CycloneDX SBOM. */

import { Enums, Factories, Models, Serialize, Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { PackageURL } from 'packageurl-js'
import type { Package } from '../debian/dpkg-status.ts'
import { withoutArchitecture } from '../debian/dpkg-status.ts'
import { withoutPrefix } from '../debian/license-names.ts'
import { uuidFrom } from '../digest.ts'
import type { InputPackage } from '../provenance/inputs.ts'
import { parseJson } from '../text.ts'
import { excessOf } from './sbom-limits.ts'

/** The subject of an SBOM. */
export interface SbomSubject {
  /** Name of the image's files, without target and extension. */
  readonly fileName: string
  readonly release: string
  readonly suite: string
  readonly debianVersion: number
  /** Seconds since 1970, UTC. */
  readonly sourceDateEpoch: number
  readonly files: readonly { readonly file: string; readonly sha256: string }[]
}

/** Package URL of a Debian package. */
export function purlOf(
  { name, version, architecture }: Pick<Package, 'name' | 'version' | 'architecture'>,
  suite: string,
): string {
  const qualifiers = { arch: architecture, distro: suite }
  return new PackageURL('deb', 'debian', withoutArchitecture(name), version, qualifiers, undefined).toString()
}

/**
 * The text of the SBOM: the same for the same image on any machine.
 * @param packages from the image's dpkg
 * @param inputs what signed indexes and copyright files say about them
 */
export function renderSbom(
  subject: SbomSubject,
  packages: readonly Package[],
  inputs: readonly InputPackage[],
): string {
  const known = new Map(inputs.map((input) => [`${input.name} ${input.version}`, input]))
  const bom = new Models.Bom({
    serialNumber: `urn:uuid:${uuidFrom(subject.files.map(({ sha256 }) => sha256).join())}`,
    metadata: new Models.Metadata({
      timestamp: new Date(subject.sourceDateEpoch * 1000),
      component: describeImage(subject),
    }),
    components: new Models.ComponentRepository(
      packages.map((one) => describePackage(one, known.get(`${one.name} ${one.version}`), subject.suite)),
    ),
  })
  return `${serializer().serialize(bom, { sortLists: true, space: 1 })}\n`
}

/** An SBOM of six hundred packages has 600 kB. */
export const mostSbomBytes = 16 * 1024 ** 2

/** Compiling the schema takes most of a second, so this is done once for all SBOMs. */
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)

/** What is wrong with an SBOM according to CycloneDX's own schema; undefined if it is valid. */
export async function faultOfSbom(text: string): Promise<string | undefined> {
  const excess = excessOf(parseJson(text))
  if (excess !== undefined) return excess
  const found = await validator.validate(text)
  return found === null ? undefined : JSON.stringify(found)
}

/** A package as it appears in an SBOM. */
export interface SbomPackage {
  readonly name: string
  readonly version: string
  readonly purl: string
  /** Digest of the .deb, from its signed index; undefined if no index lists it. */
  readonly sha256: string | undefined
}

interface HasComponents {
  readonly components?: readonly SbomComponent[]
}

interface SbomComponent extends Omit<SbomPackage, 'sha256'>, HasComponents {
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
}

interface Sbom extends HasComponents {
  readonly metadata?: { readonly component?: HasComponents }
}

/** The packages in a valid SBOM, including nested ones: to its readers, the image contains all of them. */
export function readSbom(text: string): readonly SbomPackage[] {
  const bill = JSON.parse(text) as Sbom
  const all = [...componentsIn(bill), ...componentsIn(bill.metadata?.component ?? {})]
  return all.map(({ name, version, purl, hashes = [] }) => ({
    name,
    version,
    purl,
    sha256: hashes.find(({ alg }) => alg === 'SHA-256')?.content,
  }))
}

// --- internal ---

function componentsIn({ components = [] }: HasComponents): readonly SbomComponent[] {
  return components.flatMap((component) => [component, ...componentsIn(component)])
}

function serializer(): Serialize.JsonSerializer {
  return new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6))
}

function describeImage({ fileName, release, debianVersion, files }: SbomSubject): Models.Component {
  return new Models.Component(Enums.ComponentType.OperatingSystem, fileName, {
    bomRef: fileName,
    version: release,
    properties: new Models.PropertyRepository([
      new Models.Property('systemvm-image:debian', `${debianVersion}`),
      ...files.map(
        ({ file, sha256 }) => new Models.Property(`systemvm-image:file:${file}`, `sha256 ${sha256}`),
      ),
    ]),
  })
}

const licenseFactory = new Factories.LicenseFactory()

function describePackage(one: Package, input: InputPackage | undefined, suite: string): Models.Component {
  const { name, version, source } = one
  const purl = PackageURL.fromString(purlOf(one, suite))
  const component = new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: purl.toString(),
    version,
    purl,
    properties: new Models.PropertyRepository([
      new Models.Property('systemvm-image:architecture', one.architecture),
      new Models.Property('systemvm-image:source', `${source.name} ${source.version}`),
    ]),
  })
  if (input?.sha256 != null) {
    component.hashes.set(Enums.HashAlgorithm['SHA-256'], input.sha256)
    component.properties.add(new Models.Property('systemvm-image:hashes', 'of the .deb, by its signed index'))
  }
  for (const license of input?.licenses ?? []) {
    // Never as an expression: a component may have only one, and each license here covers only some files.
    const described = licenseFactory.makeDisjunctive(withoutPrefix(license))
    described.acknowledgement = Enums.LicenseAcknowledgement.Declared
    component.licenses.add(described)
  }
  return component
}
