/** Commands that Java sources run by their class for scripts, as shell texts. What is no literal is `…`. */

import { unknown } from './shell.ts'

/** Reads one source: `new Script("program")` with the words that are added up to its `execute`, and simple bash scripts. */
export function javaCommands(source: string): readonly string[] {
  const commands: string[] = []
  for (const match of source.matchAll(/new Script\((?:[\w!]+, )?"([^"]+)"/g)) {
    const rest = source.slice(match.index)
    const end = rest.search(/\.execute\(|new Script\(.{200}/s)
    const words = [...rest.slice(0, end === -1 ? 2000 : end).matchAll(/\.add\(([^;]*)\);/g)].flatMap(
      ([, list = '']) => literals(list),
    )
    const [program = ''] = [match[1]]
    // Of a shell, what it is given is the command.
    commands.push(
      /sh$/.test(program) && words[0] === '-c'
        ? `${program} -c x\n${words.slice(1).join(' ')}`
        : [program, ...words].join(' '),
    )
  }
  for (const [, command = ''] of source.matchAll(/runSimpleBashScript(?:\w*)\("([^"]+)"/g))
    commands.push(command)
  return commands
}

// --- internal ---

function literals(list: string): readonly string[] {
  return list.split(/,\s*(?=(?:[^"]*"[^"]*")*[^"]*$)/).map((part) => {
    const texts = [...part.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text)
    return texts.length === 0 ? unknown : texts.join(unknown)
  })
}
