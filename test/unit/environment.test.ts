/** What programs get of the user's environment: variables such as TAR_OPTIONS would change what they write, or what is believed. */

import { describe, expect, it } from 'vitest'
import { files, read } from '../support/imports.ts'

/** Files whose programs get another environment than `bareEnvironment`, and why. */
const other: Readonly<Record<string, string>> = {
  'src/cli/report.ts': 'the browser, which is the user’s',
  'src/doctor/checks/host.ts': 'a question about the host, which nothing is made from',
  'src/doctor/host-packages.ts': 'apt and sudo, which use the network and the terminal',
  'src/host/execa.ts': 'the starter of short programs; their settings come from its callers',
  'src/host/kernel-lock.ts': 'flock, which reads no variable',
  'src/host/process.ts': 'the starter of long programs; those that call it are in this list',
  'src/host/remove-tree.ts': 'mmdebstrap, to remove files',
  'src/host/tools.ts': 'questions for versions, which nothing is made from',
  'src/installers/bootstrap/bootstrap.ts': 'mmdebstrap, with the names of its own list',
  'src/packer/process.ts': 'Packer, which finds its plugins by them',
  'src/plan/changed-since.ts': 'this program itself',
  'src/qemu/kvm-probe.ts': 'QEMU, whose words say everything about a machine',
  'src/qemu/process.ts': 'QEMU, whose words say everything about a machine',
  'src/qemu/ssh.ts': 'SSH with the key of a run, also on the user’s terminal',
  'src/release/openpgp-signature.ts': 'gpg, with the user’s keys and agent',
  'src/release/scan.ts': 'scanners, which use the network, with their own settings',
  'src/repack/run-tool.ts': 'programs with a fixed environment of their own',
  'src/store/registry.ts': 'skopeo, which uses the network and the user’s logins',
}

const starts = (text: string) =>
  /(?:import \{[^}]*\bspawn\b[^}]*\} from 'node:child_process'|\b(?:execa|runFile|startGroup|startOnTerminal)\((?!\{))/.test(
    text,
  ) || /import \{[^}]*\bbytesOf\b[^}]*\} from '[./]*host\/execa/.test(text)

describe('programs of others', () => {
  it('get nothing of the environment that could change what they do', () => {
    const found = files.filter((path) => starts(read(path)) && !read(path).includes('bareEnvironment('))
    expect(found.sort()).toEqual(Object.keys(other).sort())
  })

  it('print no more than fits in a message', () => {
    expect(files.filter((path) => /from 'execa'/.test(read(path)))).toEqual(['src/host/execa.ts'])
  })
})
