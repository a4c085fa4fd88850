import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import {
  makeBootArguments,
  networksOf,
  plainNetworks,
  renderCommandLine,
  renderPortLines,
} from '../../../src/guest/boot-arguments.ts'
import { type GuestMachine, guestMachine, macOf } from '../../../src/guest/machine.ts'
import { roleNames } from '../../../src/guest/roles.ts'
import { qemuArguments } from '../../../src/qemu/arguments.ts'
import { type DeviceModelName, deviceModels } from '../../../src/targets/registry.ts'
import { describeWith } from '../../support/tools.ts'

const names = Object.keys(deviceModels) as DeviceModelName[]

const machine = (over: Partial<GuestMachine> = {}): GuestMachine => ({
  model: deviceModels.virtio,
  arch: 'x86_64',
  accelerator: 'tcg',
  cpu: 'Opteron_G3,-cx16',
  cpus: 2,
  memoryMiB: 512,
  disk: { driver: 'qcow2', file: { driver: 'file', filename: '/tmp/a,b.qcow2' } },
  networks: plainNetworks(2222),
  ports: [
    { name: 'org.qemu.guest_agent.0', socket: '/tmp/agent' },
    { name: 's-1-VM.vport', socket: '/tmp/vport' },
  ],
  serial: { file: '/tmp/serial' },
  virtioConsoleLog: '/tmp/hvc0',
  qmpSocket: '/tmp/qmp',
  firmwareStrings: [],
  ...over,
})

const guestArguments = (guest: GuestMachine) => qemuArguments(guestMachine(guest)).flat()

const valuesOf = (words: readonly string[], option: string) =>
  words.flatMap((word, index) => (words[index - 1] === option ? [word] : []))

describe('the arguments of QEMU', () => {
  it('number ports in their order', () => {
    const ports = valuesOf(guestArguments(machine()), '-device').filter((value) =>
      value.startsWith('virtserialport'),
    )
    expect(ports).toEqual([
      'virtserialport,nr=1,chardev=port0,name=org.qemu.guest_agent.0',
      'virtserialport,nr=2,chardev=port1,name=s-1-VM.vport',
    ])
  })

  it('plug a card into a tap of the host, under the address that it is given', () => {
    const words = guestArguments(machine({ networks: [{ tap: 'tap7', mac: '02:00:00:00:01:01' }] }))
    expect(valuesOf(words, '-netdev')).toEqual(['tap,id=net0,ifname=tap7,script=no,downscript=no'])
    expect(valuesOf(words, '-device')).toContain('virtio-net-pci,netdev=net0,mac=02:00:00:00:01:01,romfile=')
  })

  it('start a kernel without a boot loader where they are told to', () => {
    expect(guestArguments(machine())).not.toContain('-kernel')
    const directBoot = { kernel: '/boot/kernel', initrd: '/boot/initrd', arguments: 'root=/dev/vda6 ro' }
    const words = guestArguments(machine({ directBoot }))
    expect(valuesOf(words, '-kernel')).toEqual(['/boot/kernel'])
    expect(valuesOf(words, '-initrd')).toEqual(['/boot/initrd'])
    expect(valuesOf(words, '-append')).toEqual(['root=/dev/vda6 ro'])
    expect(words.join(' '), 'QEMU refuses a disk in the place of the kernel').not.toContain('bootindex')
  })

  it('give UEFI its code, and variables that it may write', () => {
    expect(guestArguments(machine()).join(' ')).not.toContain('pflash')
    const words = guestArguments(machine({ uefi: { code: '/a,b/code.fd', variables: '/tmp/variables.fd' } }))
    expect(valuesOf(words, '-drive')).toEqual([
      'if=pflash,unit=0,format=raw,readonly=on,file=/a,,b/code.fd',
      'if=pflash,unit=1,format=raw,file=/tmp/variables.fd',
    ])
    expect(valuesOf(words, '-machine')).toEqual(['type=pc,accel=tcg'])
  })

  it('keep the operating system out of the variables of UEFI that checks signatures', () => {
    const uefi = { code: '/code.fd', variables: '/tmp/variables.fd', isSecure: true }
    const words = guestArguments(machine({ uefi }))
    expect(valuesOf(words, '-machine')).toEqual(['type=q35,smm=on,accel=tcg'])
    expect(valuesOf(words, '-global')).toEqual(['driver=cfi.pflash01,property=secure,value=on'])
  })

  it('let nobody in but from this host, and nothing out', () => {
    const networks = valuesOf(guestArguments(machine()), '-netdev')
    expect(networks).toHaveLength(3)
    for (const network of networks) expect(network).toContain('restrict=on')
    expect(networks.filter((network) => network.includes('hostfwd'))).toEqual([
      'user,id=net0,restrict=on,ipv6=off,net=10.250.0.0/24,host=10.250.0.1,hostfwd=tcp:127.0.0.1:2222-:3922',
    ])
  })

  it('hide what QEMU says of itself where the guest is to find another hypervisor', () => {
    const words = guestArguments(machine({ model: deviceModels['vmware-lsilogic'] }))
    expect(valuesOf(words, '-cpu')).toEqual(['Opteron_G3,-cx16,tcg-cpuid=off'])
    expect(valuesOf(words, '-smbios')).toEqual([
      'type=1,manufacturer=VMware,, Inc.,product=VMware Virtual Platform',
    ])
    expect(valuesOf(guestArguments(machine()), '-smbios')).toEqual([])
  })

  it('keep commas in strings of the firmware', () => {
    const words = guestArguments(machine({ firmwareStrings: ['cmdline:a=1,2'] }))
    expect(valuesOf(words, '-smbios')).toEqual(['type=11,value=cmdline:a=1,,2'])
  })

  it('attach no serial port where there is to be none', () => {
    const words = guestArguments(machine({ serial: 'none' }))
    expect(valuesOf(words, '-serial')).toEqual(['none'])
    expect(words.join(' ')).not.toContain('serial0')
  })

  it('give the terminal to the guest, and a way to end it', () => {
    const words = guestArguments(machine({ serial: 'terminal' }))
    expect(valuesOf(words, '-chardev')[0]).toBe('stdio,id=serial0,mux=on,signal=off')
    expect(valuesOf(words, '-mon')).toEqual(['chardev=serial0'])
  })
})

describeWith(['qemu-system-x86_64'], 'each device model', () => {
  it.each(names)('%s has only devices that QEMU has, with properties that they have', (name) => {
    for (const device of [...deviceModels[name].disk, deviceModels[name].nic]) {
      const [kind = '', ...properties] = device.split(',')
      const help = execFileSync('qemu-system-x86_64', ['-device', `${kind},help`], { encoding: 'utf8' })
      for (const property of properties.map((word) => word.split('=')[0] as string)) {
        // A device's name and bus are QEMU's own.
        if (property !== 'id' && property !== 'bus')
          expect(help, device).toMatch(new RegExp(`^ +${property}=`, 'm'))
      }
    }
  })
})

describe('what is handed over', () => {
  const publicKey = 'ssh-rsa AAAA verify'

  it.each(roleNames)(
    'to a %s has a card for each address, and a way in on the one of its control network',
    (role) => {
      const bootArguments = makeBootArguments(role, publicKey)
      const networks = networksOf(bootArguments, 4000)
      expect(networks).toHaveLength(3)
      expect(new Set(networks.map(({ network }) => network)).size).toBe(3)
      const [way, ...others] = networks.filter(({ forward }) => forward !== undefined)
      expect(others).toEqual([])
      expect(way?.forward).toEqual({
        hostPort: 4000,
        guestAddress: bootArguments.addresses[bootArguments.control]?.address,
        // A machine of a user has sshd where everybody has it.
        guestPort: ['cksnode', 'sharedfsvm'].includes(role) ? 22 : 3922,
      })
      expect(way).toBe(networks[bootArguments.control])
    },
  )

  it('is one line of words, each with its value', () => {
    const line = renderCommandLine(makeBootArguments('secstorage', publicKey))
    expect(line).not.toMatch(/\n| {2}/)
    const words = new Map(
      line.split(' ').map((word) => [word.split('=')[0], word.slice(word.indexOf('=') + 1)]),
    )
    expect(words.get('type')).toBe('secstorage')
    expect(words.get('nic_macs')).toBe([0, 1, 2].map(macOf).join('|'))
    expect(Buffer.from(words.get('authorized_key') ?? '', 'base64').toString()).toBe(publicKey)
  })

  it('by the port of old is two lines, with % for spaces', () => {
    const bootArguments = makeBootArguments('consoleproxy', publicKey)
    const lines = renderPortLines(bootArguments, publicKey).split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toBe(`pubkey:${publicKey}`)
    expect(lines[1]).toMatch(/^cmdline:template=domP%type=consoleproxy%name=/)
  })

  it('holds values that a shell would act on, unless others are given', () => {
    expect(renderCommandLine(makeBootArguments('router', publicKey))).toContain('$(touch')
    expect(renderCommandLine(makeBootArguments('router', publicKey, { name: 'mine' }))).toMatch(/ name=mine /)
    expect(renderCommandLine(makeBootArguments('router', publicKey, {}))).not.toContain('$(')
  })

  it('to a redundant pair has no default route, and a gateway all the same', () => {
    const { gateway, words } = makeBootArguments('redundant-router', publicKey)
    expect(gateway).toBeUndefined()
    expect(words.gateway).toBe('203.0.113.1')
  })
})
