/** The SBOMs of a variant: what an image contains, in two formats for other programs. */

import { join } from 'node:path'
import type { Package } from '../debian/dpkg-status.ts'
import { writeFile } from '../host/writing.ts'
import type { InputPackage } from '../provenance/inputs.ts'
import type { ReleaseVariant } from './record.ts'
import { faultOfSbom, renderSbom, type SbomSubject } from './sbom.ts'
import { renderSpdx } from './spdx.ts'

/** Writes them to the folder of a release, and returns their names. */
export async function writeBills(
  folder: string,
  subject: SbomSubject,
  packages: readonly Package[],
  inputs: readonly InputPackage[],
): Promise<Required<Pick<ReleaseVariant, 'sbom' | 'spdx'>>> {
  const text = renderSbom(subject, packages, inputs)
  const fault = await faultOfSbom(text)
  if (fault !== undefined) throw new Error(`the bill of materials is not CycloneDX: ${fault}`)
  const names = { sbom: `${subject.fileName}.cdx.json`, spdx: `${subject.fileName}.spdx.json` }
  await writeFile(join(folder, names.sbom), text)
  await writeFile(join(folder, names.spdx), renderSpdx(subject, packages, inputs))
  return names
}
