import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { locateInOva } from '../../../src/disk/ova.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

/** An OVA with this description and a disk that QEMU would take for an empty one. */
function makeOva(description: string): string {
  writeFileSync(path('a.ovf'), description)
  const disk = Buffer.alloc(65536)
  disk.write('KDMV')
  disk.writeUInt32LE(1, 4)
  disk.writeUInt32LE(128, 12)
  disk.writeUInt32LE(128, 20)
  writeFileSync(path('a.vmdk'), disk)
  execFileSync('tar', ['--format=ustar', '-C', path(), '-cf', path('a.ova'), 'a.ovf', 'a.vmdk'])
  return path('a.ova')
}

describe('the description in an OVA', () => {
  it.each([
    '<File ovf:href="a.vmdk"/>',
    '<ovf:File\n ovf:id="x>y" ovf:href = \'a.vmdk\'></ovf:File>',
    '<Files href="b"/><Item href="c">',
  ])('may name its own files: %s', async (description) => {
    await expect(locateInOva(makeOva(description))).resolves.toMatchObject({ node: { driver: 'vmdk' } })
  })

  it.each([
    '<File ovf:href="http://h/x.vmdk"/>',
    '<File ovf:id="a>b" ovf:href="http://h/x.vmdk"/>',
    '<File id="href=\'a.vmdk\'" ovf:href="http://h/x.vmdk"/>',
    '<ovf:File href="http://h/a>b.vmdk"/>',
    `${'<File '.repeat(1000)}<File href='http://h/x.vmdk'`,
  ])('names no other file: %s', async (description) => {
    await expect(locateInOva(makeOva(description))).rejects.toMatchObject({ code: 'disk-refers-elsewhere' })
  })

  // In time that grows with the square of the length, each takes a minute.
  it.each(['<File ', '<a:File href', '<File href="', '<File href=  ', '<File\n', '<', 'href = '])(
    'is read once, however often it has %j',
    { timeout: 20_000 },
    async (part) => {
      const description = part.repeat(Math.floor((1 << 20) / part.length))
      for (const text of [description, `<File ${description}`])
        await locateInOva(makeOva(text.slice(0, 1 << 20))).catch((error: { code: string }) =>
          expect(error.code).toBe('disk-refers-elsewhere'),
        )
    },
  )

  it('is not read if it is larger than any', async () => {
    await expect(locateInOva(makeOva(' '.repeat((1 << 20) + 1)))).rejects.toMatchObject({
      code: 'disk-unreadable',
      message: expect.stringContaining('1048577 bytes'),
    })
  })
})
