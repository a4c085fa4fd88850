/** A machine as QEMU's arguments: a row for each thing that it may have, with the reason why it is rendered so. */

import { describe, expect, it } from 'vitest'
import { installerMachine } from '../../../src/installers/debian-installer/machine.ts'
import { escapeValue, qemuArguments } from '../../../src/qemu/arguments.ts'
import type { Machine } from '../../../src/qemu/machine.ts'
import { buildMachine } from '../../../src/stages/build-machine.ts'

const bare: Machine = { arch: 'x86_64', accelerator: 'tcg', cpu: 'max', memoryMiB: 64, serial: 'none' }

/** Options of a machine that the bare one does not have. */
function added(over: Partial<Machine>): readonly string[] {
  const known = qemuArguments(bare).map((option) => option.join(' '))
  return qemuArguments({ ...bare, ...over })
    .map((option) => option.join(' '))
    .filter((option) => !known.includes(option))
}

describe('a machine', () => {
  it('has nothing that it does not name, shows nothing, and ends where it would reboot', () => {
    expect(qemuArguments(bare)).toEqual([
      ['-nodefaults'],
      ['-no-reboot'],
      ['-machine', 'type=pc,accel=tcg'],
      ['-cpu', 'max'],
      ['-m', '64M'],
      ['-serial', 'none'],
      ['-display', 'none'],
      ['-vnc', 'none'],
      ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ])
  })

  const ports = [
    { id: 'port0', name: 'org.qemu.guest_agent.0', socket: '/run/agent', number: 1 },
    { id: 'port1', name: 's-1-VM.vport', socket: '/run/vport', number: 2 },
  ]
  const rows: readonly (readonly [reason: string, over: Partial<Machine>, options: readonly string[]])[] = [
    ['processors are counted', { cpus: 2 }, ['-smp 2']],
    [
      'another architecture has another machine',
      { arch: 'aarch64' },
      ['-machine type=virt,accel=tcg,gic-version=max'],
    ],
    [
      'a drive keeps its name under snapshots, and needs no flush that a crash could miss',
      { disk: { backend: { drive: '/out/d.qcow2' }, devices: ['virtio-blk-pci,drive=disk0'] } },
      [
        '-drive if=none,id=disk0,file=/out/d.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap',
        '-device virtio-blk-pci,drive=disk0',
      ],
    ],
    [
      'a block node is a graph, with names that need no escapes',
      {
        disk: {
          backend: { driver: 'raw', file: { driver: 'file', filename: '/a,b' } },
          devices: ['pvscsi,id=scsi0', 'scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0'],
        },
      },
      [
        '-blockdev {"node-name":"disk0","driver":"raw","file":{"driver":"file","filename":"/a,b"}}',
        '-device pvscsi,id=scsi0',
        '-device scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0',
      ],
    ],
    [
      'a kernel of ours takes the place of a disk that would boot first',
      {
        disk: {
          backend: { drive: '/d' },
          devices: ['ide-hd,bus=ide.0,drive=disk0,bootindex=0'],
        },
        directBoot: { kernel: '/k', initrd: '/i', arguments: 'root=/dev/sda6 ro' },
      },
      [
        '-drive if=none,id=disk0,file=/d,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap',
        '-device ide-hd,bus=ide.0,drive=disk0',
        '-kernel /k',
        '-initrd /i',
        '-append root=/dev/sda6 ro',
      ],
    ],
    [
      'a kernel says its version before it wants an initrd',
      { directBoot: { kernel: '/k', arguments: 'console=ttyS0' } },
      ['-kernel /k', '-append console=ttyS0'],
    ],
    ['a disc is in the drive', { disc: '/disc.iso' }, ['-cdrom /disc.iso']],
    [
      "an open network has QEMU's own addresses and the host's way out; a boot ROM would only cost time",
      {
        cards: [
          {
            device: 'virtio-net-pci',
            network: { isOpen: true, forward: { hostPort: '{{ port }}', guestPort: 22 } },
          },
        ],
      },
      [
        '-device virtio-net-pci,netdev=net0,romfile=',
        '-netdev user,id=net0,hostfwd=tcp:127.0.0.1:{{ port }}-:22',
      ],
    ],
    [
      'a user network lets nothing out, and in by the one port from this host alone',
      {
        cards: [
          {
            device: 'e1000',
            mac: '52:54:00:5e:00:01',
            network: {
              network: '10.1.0.0/24',
              host: '10.1.0.1',
              lease: '10.1.0.5',
              forward: { hostPort: 2222, guestAddress: '10.1.0.5', guestPort: 3922 },
            },
          },
          {
            device: 'e1000',
            mac: '52:54:00:5e:00:02',
            network: { network: '10.2.0.0/24', host: '10.2.0.1' },
          },
        ],
      },
      [
        '-device e1000,netdev=net0,mac=52:54:00:5e:00:01,romfile=',
        '-device e1000,netdev=net1,mac=52:54:00:5e:00:02,romfile=',
        '-netdev user,id=net0,restrict=on,ipv6=off,net=10.1.0.0/24,host=10.1.0.1,dhcpstart=10.1.0.5,hostfwd=tcp:127.0.0.1:2222-10.1.0.5:3922',
        '-netdev user,id=net1,restrict=on,ipv6=off,net=10.2.0.0/24,host=10.2.0.1',
      ],
    ],
    [
      'a tap is there already: no script sets it up',
      {
        cards: [
          {
            device: 'virtio-net-pci',
            mac: '02:00:00:00:01:01',
            network: { tap: 'tap7', mac: '02:00:00:00:01:01' },
          },
        ],
      },
      [
        '-device virtio-net-pci,netdev=net0,mac=02:00:00:00:01:01,romfile=',
        '-netdev tap,id=net0,ifname=tap7,script=no,downscript=no',
      ],
    ],
    [
      'the console is a file, whatever its name',
      { serial: { file: '/run,1/serial.log' } },
      ['-chardev file,id=serial0,path=/run,,1/serial.log', '-serial chardev:serial0'],
    ],
    [
      'a person ends a machine on the terminal by its monitor, and Control-C is for the guest',
      { serial: 'terminal' },
      ['-chardev stdio,id=serial0,mux=on,signal=off', '-serial chardev:serial0', '-mon chardev=serial0'],
    ],
    ['the console of a probe is a pipe of ours', { serial: 'stdio' }, ['-serial stdio']],
    [
      'ports have the numbers that they are given, and sockets that QEMU listens on without waiting',
      { ports },
      [
        '-device virtio-serial-pci',
        '-chardev socket,id=port0,path=/run/agent,server=on,wait=off',
        '-device virtserialport,nr=1,chardev=port0,name=org.qemu.guest_agent.0',
        '-chardev socket,id=port1,path=/run/vport,server=on,wait=off',
        '-device virtserialport,nr=2,chardev=port1,name=s-1-VM.vport',
      ],
    ],
    [
      'the second console is on a bus of its own behind that of the ports, where it takes no number of theirs',
      { ports: ports.slice(0, 1), virtioConsole: '/run/hvc0' },
      [
        '-device virtio-serial-pci',
        '-chardev socket,id=port0,path=/run/agent,server=on,wait=off',
        '-device virtserialport,nr=1,chardev=port0,name=org.qemu.guest_agent.0',
        '-chardev file,id=hvc0,path=/run/hvc0',
        '-device virtio-serial-pci,id=consolebus',
        '-device virtconsole,bus=consolebus.0,chardev=hvc0',
      ],
    ],
    [
      "the firmware's tables keep commas",
      {
        firmware: {
          maker: { manufacturer: 'VMware, Inc.', product: 'VMware Virtual Platform' },
          strings: ['a=1,2'],
        },
      },
      [
        '-smbios type=1,manufacturer=VMware,, Inc.,product=VMware Virtual Platform',
        '-smbios type=11,value=a=1,,2',
      ],
    ],
    ['a screen is there for pictures of it', { hasScreen: true }, ['-device VGA']],
    ['an emulated guest has no entropy of its own', { hasEntropySource: true }, ['-device virtio-rng-pci']],
    [
      'freed memory is no part of a saved state',
      { hasBalloon: true },
      ['-device virtio-balloon-pci,free-page-reporting=on'],
    ],
    [
      'QEMU listens for QMP without waiting',
      { qmpSocket: '/run/q,mp' },
      ['-qmp unix:/run/q,,mp,server=on,wait=off'],
    ],
    ['nothing runs before a command', { awaits: 'command', monitor: 'stdio' }, ['-monitor stdio', '-S']],
    ['a state comes by QMP, once it is connected', { awaits: 'state' }, ['-incoming defer']],
  ]
  it.each(rows)('%s', (_reason, over, options) => {
    expect(added(over)).toEqual(options)
  })

  it('lists devices in the order in which the guest finds them', () => {
    const devices = qemuArguments({
      ...bare,
      hasScreen: true,
      disk: { backend: { drive: '/d' }, devices: ['virtio-blk-pci,drive=disk0'] },
      cards: [{ device: 'virtio-net-pci', network: { isOpen: true } }],
      hasEntropySource: true,
      hasBalloon: true,
      ports: ports.slice(0, 1),
      virtioConsole: '/run/hvc0',
    }).flatMap(([option, value = '']) => (option === '-device' ? [value.split(',')[0]] : []))
    expect(devices).toEqual([
      'VGA',
      'virtio-blk-pci',
      'virtio-net-pci',
      'virtio-rng-pci',
      'virtio-balloon-pci',
      'virtio-serial-pci',
      'virtserialport',
      'virtio-serial-pci',
      'virtconsole',
    ])
  })
})

const shared = {
  arch: 'x86_64',
  accelerator: 'kvm',
  cpu: 'host',
  cpus: 2,
  memoryMiB: 1024,
  disk: '/out/d.qcow2',
  kernel: '/k',
  initrd: '/i',
  kernelArguments: ['ro', 'quiet'],
  serialLog: '/run/serial.log',
  qmpSocket: '/run/qmp',
} as const

describe('the machine that stages run in', () => {
  const build = { ...shared, channelSocket: '/run/channel', isOpen: true }

  it('is what saved states are known by: a change of any word drops them all', () => {
    expect(qemuArguments(buildMachine(build)).map((option) => option.join(' '))).toEqual([
      '-nodefaults',
      '-no-reboot',
      '-machine type=pc,accel=kvm',
      '-cpu host',
      '-smp 2',
      '-m 1024M',
      '-drive if=none,id=disk0,file=/out/d.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap',
      '-device virtio-blk-pci,drive=disk0',
      '-device virtio-net-pci,netdev=net0,romfile=',
      '-device virtio-rng-pci',
      '-chardev file,id=serial0,path=/run/serial.log',
      '-serial chardev:serial0',
      '-qmp unix:/run/qmp,server=on,wait=off',
      '-kernel /k',
      '-initrd /i',
      '-append ro quiet',
      '-display none',
      '-vnc none',
      '-netdev user,id=net0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22',
      '-device virtio-balloon-pci,free-page-reporting=on',
      '-device virtio-serial-pci',
      '-chardev socket,id=channel0,path=/run/channel,server=on,wait=off',
      '-device virtserialport,chardev=channel0,name=org.systemvm-image.build',
      '-sandbox on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny',
    ])
  })

  it('has no way out where no stage needs one', () => {
    const words = qemuArguments(buildMachine({ ...build, isOpen: false })).flat()
    const place = 'restrict=on,ipv6=off,net=10.0.2.0/24,host=10.0.2.2'
    expect(words).toContain(`user,id=net0,${place},hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22`)
  })

  it('has a port of ours for SSH without Packer, and waits for a state where there is one', () => {
    const words = qemuArguments(buildMachine({ ...build, sshPort: 4022, awaitsState: true })).flat()
    expect(words).toContain('user,id=net0,hostfwd=tcp:127.0.0.1:4022-:22')
    expect(words[words.indexOf('-incoming') + 1]).toBe('defer')
  })
})

describe('the machine that debian-installer runs in', () => {
  it('has no way in, and a disc where it comes from one', () => {
    const words = qemuArguments(installerMachine({ ...shared, medium: '/disc.iso' })).flat()
    expect(words.filter((word) => word.startsWith('user,'))).toEqual(['user,id=net0'])
    expect(words[words.indexOf('-cdrom') + 1]).toBe('/disc.iso')
    expect(words).not.toContain('virtio-serial-pci')
    expect(words.at(-1)).toBe('on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny')
    expect(qemuArguments(installerMachine({ ...shared, medium: undefined })).flat()).not.toContain('-cdrom')
  })
})

it('a comma of a value is doubled', () => {
  expect(escapeValue('/a,b,,c')).toBe('/a,,b,,,,c')
})
