/** Checks what can run as root without a password. */

import { namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, judge } from '../check.ts'

const allowedCommands = new Set(['chmod', 'cp', 'mkdir', 'mount', 'umount', 'halt'])

export const sudo: ContentCheck = {
  id: 'A14',
  group: 'hygiene',
  at: 'content',
  does: 'reads sudoers and all of its folder, resolves the aliases of commands, and looks for ways around',
  run: async ({ files }) => {
    const names = await namesIn(files, '/etc/sudoers.d')
    // sudo itself skips names with a dot or a trailing ~.
    const parts = names.filter((name) => !name.includes('.') && !name.endsWith('~'))
    const paths = ['/etc/sudoers', ...parts.map((name) => `/etc/sudoers.d/${name}`)]
    const texts = await Promise.all(paths.map((path) => readText(files, path)))
    const lines = texts.flatMap((text) => (text ?? '').replaceAll('\\\n', ' ').split('\n'))
    const aliases = new Map(
      lines.flatMap((line) => {
        const match = /^\s*Cmnd_Alias\s+(\w+)\s*=\s*(.*)$/.exec(line)
        return match === null ? [] : [[match[1] ?? '', splitList(match[2] ?? '')] as const]
      }),
    )
    const free = lines.flatMap((line) => {
      const [, who = '', rule = ''] = /^\s*([^#\s]\S*)\s(.*)$/s.exec(line) ?? []
      const list = /^.*\bNOPASSWD\s{0,99}:(.*)$/s.exec(rule)?.[1]
      if (list === undefined) return []
      return [{ who, commands: splitList(list).flatMap((word) => aliases.get(word) ?? [word]) }]
    })
    const beyond = free.flatMap(({ who, commands }) =>
      commands
        .filter(
          (command) => !allowedCommands.has(command.split('/').at(-1) ?? '') || !command.startsWith('/'),
        )
        .map((command) => `${who} may run ${command}`),
    )
    const faults = [...beyond, ...lines.flatMap(waysAround)]
    return judge(
      faults,
      free.map(({ who, commands }) => `${who}: ${commands.join(' ')}`).join('; ') || 'nobody',
    )
  },
}

/** Ways to do without a password, or to hide rules, that are no rules themselves. */
function waysAround(line: string): readonly string[] {
  const text = line.trim()
  if (/^Defaults\b/.test(text) && /!\s*authenticate\b|\bexempt_group\b/.test(text)) return [text]
  const included = /^[@#]include(?:dir)?\s+(.*)$/s.exec(text)?.[1]
  return included === undefined || included === '/etc/sudoers.d' ? [] : [`${text} is not read`]
}

const splitList = (text: string) => text.split(',').map((word) => word.trim())
