/** Checks the programs that builds call. */

import type { Arch } from '../../arch.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { findProgram, findTools, type ToolFault } from '../../host/tools.ts'
import { archiveOf, type TargetName } from '../../targets/registry.ts'
import { type DoctorCheck, type Finding, fault, ok, warning } from '../check.ts'

/** One finding for all tools that are present, and one for each tool that is missing or too old. */
export async function checkTools(
  arch: Arch,
): Promise<readonly (Finding & Pick<DoctorCheck, 'id' | 'title'>)[]> {
  const { found, faults } = await findTools({ arch })
  const names = found.map(({ tool, version }) =>
    version === undefined ? tool.name : `${tool.name} ${version}`,
  )
  const summary = names.length === 0 ? [] : [{ id: 'tools', title: 'tools', ...ok(names.join(', ')) }]
  const needed = faults.filter(({ tool }) => tool.need !== 'optional')
  const lacking = faults.map((lack) => {
    const text = `${lack.needed} is needed, found ${lack.found}`
    const advice =
      lack.package === undefined ? lack.remedy : `npm run setup -- --yes installs ${lack.package}.`
    const finding = needed.includes(lack) ? fault(text, advice, toolsMissing(needed)) : warning(text, advice)
    return { id: `tool:${lack.tool.name}`, title: 'tools', ...finding }
  })
  return [...summary, ...lacking]
}

/** Checks the program that packs a target's image, which is needed only if `formats` asks for an archive. */
export async function checkArchiver(target: TargetName, formats: ResolvedImage['formats']): Promise<Finding> {
  const program = programOf(target, formats)
  if (program === undefined || (await findProgram(program)) !== undefined)
    return ok(`${target} can be packed`)
  const error = new PipelineError({
    code: 'tools',
    message: `formats.${target}.archive needs the program ${program}, and this host has none (package ${program})`,
    hint: 'install it with: npm run setup -- --yes, or set the archive to none.',
    exitCode: exitCodes.hostNotFit,
  })
  return fault(error.message, error.hint ?? '', error)
}

/** Targets whose images are packed. */
export function packedTargets({
  targets,
  formats,
}: Pick<ResolvedImage, 'targets' | 'formats'>): readonly TargetName[] {
  return targets.filter((target) => programOf(target, formats) !== undefined)
}

// --- internal ---

function programOf(target: TargetName, formats: ResolvedImage['formats']): string | undefined {
  return ({ none: undefined, bz2: 'lbzip2', zip: 'pigz' } as const)[archiveOf(target, formats)]
}

function toolsMissing(faults: readonly ToolFault[]): PipelineError {
  const lines = faults.map(
    ({ tool, found, needed, remedy }) => `  ${tool.name}: ${found}, needed ${needed} (${remedy})`,
  )
  return new PipelineError({
    code: 'tools',
    message: ['this host lacks tools:', ...lines].join('\n'),
    hint: 'install them with: npm run setup -- --yes',
    exitCode: exitCodes.hostNotFit,
    details: { tools: faults.map(({ tool }) => tool.name) },
  })
}
