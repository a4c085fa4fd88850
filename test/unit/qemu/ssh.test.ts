import { describe, expect, it } from 'vitest'
import { sshArguments } from '../../../src/qemu/ssh.ts'

const optionsOf = (words: readonly string[]) =>
  words.flatMap((word, index) => (words[index - 1] === '-o' ? [word] : []))

describe('the way into a guest', () => {
  it('asks nothing, knows no host and no other key, and reads no configuration', () => {
    const words = sshArguments({ port: 4022, key: '/run/key' })
    expect(words.slice(0, 2)).toEqual(['-F', 'none'])
    expect(optionsOf(words)).toEqual([
      'BatchMode=yes',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'IdentityFile=/run/key',
    ])
    expect(words.slice(-3)).toEqual(['-p', '4022', 'root@127.0.0.1'])
  })

  it('offers no key where it has none', () => {
    const options = optionsOf(sshArguments({ port: 1, key: undefined }, { LogLevel: 'ERROR' }))
    expect(options).toContain('PreferredAuthentications=none')
    expect(options.join()).not.toContain('IdentityFile')
    expect(options.at(-1)).toBe('LogLevel=ERROR')
  })
})
