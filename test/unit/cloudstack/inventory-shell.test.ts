import { describe, expect, it } from 'vitest'
import { addShell, collectNeeds } from '../../cloudstack/inventory/needs.ts'
import { readShell } from '../../cloudstack/inventory/shell.ts'

const commandsOf = (text: string) => readShell(text).commands.map(({ words }) => words.join(' '))

describe('the commands of a shell text', () => {
  it.each<[string, string, string[]]>([
    ['lines and lists', 'a 1\nb 2; c && d || e & f | g', ['a 1', 'b 2', 'c', 'd', 'e', 'f', 'g']],
    ['conditions', 'if a; then b; elif c; then d; else e; fi', ['a', 'b', 'c', 'd', 'e']],
    ['loops', 'for x in b c; do d $x; done\nwhile e; do f; done', ['d …', 'e', 'f']],
    ['an arithmetic loop', 'for (( i=0 ; i<9 ; i++ )); do a; done', ['a']],
    ['cases', 'case $x in\n a|b) c ;;\n # d)\n *)\n e "x" ;;\nesac\nf', ['c', 'e x', 'f']],
    ['substitutions', 'x=$(a $(b)) c `d e` "$(f)" <(g)', ['b', 'a …', 'd e', 'f', 'g', 'c … …']],
    ['a substitution in a test', 'if [ `a x | b` -gt 0 ]; then c; fi', ['a x', 'b', '[ … -gt 0 ]', 'c']],
    ['quotes', `a 'b; c' "d; e" f\\;g`, ['a b; c d; e f;g']],
    ['comments', 'a # b; c\n#d\ne', ['a', 'e']],
    ['documents', 'a <<END\nb\nEND\nc <<-"X"\n\tb\n\tX\nd <<< "e"\nf', ['a', 'c', 'd', 'f']],
    ['redirections', 'a 2>&1 >/dev/null <b &>c', ['a b']],
    ['values and arrays', 'X=1 Y=( a b $(c) ) d', ['c', 'd']],
    ['groups', '(a; b) && { c; }', ['a', 'b', 'c']],
    ['continued lines', 'a \\\n  b', ['a b']],
  ])('are read from %s', (_case, text, commands) => {
    expect(commandsOf(text)).toEqual(commands)
  })

  it('do not count functions, whose names are told', () => {
    const { commands, functions } = readShell('f() {\n a\n}\nfunction g {\n b\n}\nf')
    expect(commands.map(({ words }) => words[0])).toEqual(['a', 'b', 'f'])
    expect([...functions]).toEqual(['f', 'g'])
  })
})

describe('what commands need', () => {
  const needsOf = (text: string) => {
    const needs = collectNeeds()
    addShell(needs, text, 'x', new Set(['helper']))
    return needs.all().map(({ kind, name, verbs }) => [kind, name, ...verbs].join(' '))
  }

  it.each<[string, string, string[]]>([
    [
      'programs, through those that run others',
      'sudo -u x a; timeout -k 1 5 b c; xargs -n 1 d',
      ['sudo', 'a', 'timeout', 'b', 'xargs', 'd'].map((name) => `program ${name}`),
    ],
    ['the text that a shell is given', 'bash -c "a; b"', ['program bash', 'program a', 'program b']],
    [
      'units with what is asked of them',
      'systemctl enable --now ntp a.timer',
      ['program systemctl', 'unit ntp enable', 'unit a.timer enable'],
    ],
    ['kernel modules', 'modprobe -q overlay', ['program modprobe', 'kernel module overlay']],
    [
      'files that are read, and none that are made',
      'cp /etc/a/b /etc/c\ncat /etc/d/e >/etc/f/g\nrm -f /etc/h/i',
      ['program cp', 'path /etc/a/b', 'program cat', 'path /etc/d/e', 'program rm'],
    ],
    ['no functions and no built-in commands', 'helper; cd /; [ -f /etc/a/b ]', []],
    ['a program that a value names', 'TOOL="/bin/tool"', ['path /bin/tool']],
  ])('are %s', (_case, text, names) => {
    expect(needsOf(text)).toEqual(names)
  })
})
