import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { sha256File } from '../../../src/host/hash-file.ts'
import { makeFat } from '../../../src/repack/fat.ts'
import { useFolder } from '../../support/folder.ts'
import { pathOfTools } from '../../support/path-of-tools.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const epoch = 1_793_491_200
const { signal } = new AbortController()

const env = (time: number) => ({ PATH: pathOfTools, LC_ALL: 'C', TZ: 'UTC', SOURCE_DATE_EPOCH: `${time}` })

/** A FAT with a boot loader, written at some time, and after others that are gone. */
function makeSource(name: string, time: number, before: readonly string[] = []): string {
  const file = path(name)
  writeFileSync(file, '')
  truncateSync(file, 64 * 1024 ** 2)
  const run = (program: string, ...words: string[]) =>
    execFileSync(program, words, { env: env(time), stdio: 'pipe' })
  run('mkfs.vfat', '-F', '32', '-i', 'ABCD1234', '-n', 'EFI', '-h', '2048', file)
  writeFileSync(path('loader'), Buffer.alloc(300_000, 'grub'))
  utimesSync(path('loader'), time, time)
  for (const one of before) run('mcopy', '-m', '-i', file, path('loader'), `::/${one}`)
  run('mmd', '-i', file, '::/EFI', '::/EFI/BOOT', '::/EFI/debian')
  run('mcopy', '-m', '-i', file, path('loader'), '::/EFI/debian/A longer name.efi')
  run('mcopy', '-m', '-i', file, path('loader'), '::/EFI/BOOT/BOOTAA64.EFI')
  for (const one of before) run('mdel', '-i', file, `::/${one}`)
  return file
}

async function remade(from: string): Promise<string> {
  const to = `${from}-new`
  rmSync(path('work'), { recursive: true, force: true })
  mkdirSync(path('work'))
  await makeFat({ from, to, folder: path('work'), epoch, signal })
  return to
}

const list = (file: string) =>
  execFileSync('mdir', ['-/', '-a', '-i', file, '::/'], { env: env(epoch), encoding: 'utf8' })

describeWith(['mkfs.vfat', 'mcopy', 'fsck.vfat'], 'a FAT that is made anew', () => {
  it('has the same files, serial number and label, and the time of the image', async () => {
    const file = await remade(makeSource('source', epoch + 5000))
    const listed = list(file)
    expect(listed).toContain('Volume in drive : is EFI')
    expect(listed).toContain('Volume Serial Number is ABCD-1234')
    expect(listed).toMatch(/BOOTAA64 EFI +300000 2026-11-01/)
    expect(listed).toContain('A longer name.efi')
    execFileSync('mcopy', ['-i', file, '::/EFI/BOOT/BOOTAA64.EFI', path('copy')], { env: env(epoch) })
    expect(await sha256File(path('copy'))).toBe(await sha256File(path('loader')))
    execFileSync('fsck.vfat', ['-n', file], { env: env(epoch), stdio: 'pipe' })
  })

  it('has the same bytes, whatever way its files came there', async () => {
    const one = await remade(makeSource('one', epoch + 5000))
    const other = await remade(makeSource('other', epoch + 90_000, ['AAA', 'ZZZ']))
    expect(await sha256File(other)).toBe(await sha256File(one))
    expect(await sha256File(await remade(one))).toBe(await sha256File(one))
  })

  it('may be empty', async () => {
    const file = path('empty')
    execFileSync('mkfs.vfat', ['-C', '-F', '32', '-i', '0000BEEF', file, '65536'], {
      env: env(epoch),
      stdio: 'pipe',
    })
    execFileSync('fsck.vfat', ['-n', await remade(file)], { env: env(epoch), stdio: 'pipe' })
  })

  it('has no files that share their content and have more bytes than it', async () => {
    const file = makeSource('shared', epoch)
    const names = Array.from({ length: 300 }, (_, index) => `NAME${index}.BIN`)
    writeFileSync(path('content'), Buffer.alloc(2_000_000))
    execFileSync('mcopy', ['-i', file, path('content'), '::/NAME.BIN'], { env: env(epoch) })
    for (const name of names) {
      writeFileSync(path(name), '')
      execFileSync('mcopy', ['-i', file, path(name), '::/'], { env: env(epoch) })
    }
    const bytes = readFileSync(file)
    const first = bytes.indexOf('NAME    BIN')
    for (const name of names) {
      const at = bytes.indexOf(`${name.replace('.BIN', '').padEnd(8)}BIN`)
      // The first cluster and the size of the file.
      bytes.copy(bytes, at + 20, first + 20, first + 22)
      bytes.copy(bytes, at + 26, first + 26, first + 32)
    }
    writeFileSync(file, bytes)
    await expect(remade(file)).rejects.toMatchObject({ code: 'repack-unfit' })
  })
})
