/** What CloudStack's source tree needs of a system VM: its scripts, what Java sends to them, and its cloud-init data. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { parse } from 'yaml'
import { javaCommands } from './java.ts'
import { addShell, collectNeeds, type Need, type Needs } from './needs.ts'
import { readShell } from './shell.ts'

export interface TreeNeeds {
  readonly needs: readonly Need[]
  /** Names and paths that the tree itself brings into the machine. */
  readonly brings: (need: Need) => boolean
  /** Parts of the tree that were not there to be read. */
  readonly unread: readonly string[]
  readonly compiledModules: ReadonlySet<string>
}

/** Parts that a whole checkout has; the first comes to lie over the root of the machine. */
const debian = 'systemvm/debian'
const scriptFolders = [debian, 'systemvm/agent/scripts', 'scripts/storage/secondary']
const scriptFiles = [
  'systemvm/patch-sysvms.sh',
  'scripts/util/keystore-setup',
  'scripts/util/keystore-cert-import',
]
/** Packed with the others, and called by nobody in a system VM. */
const ofManagementServer = /\/(cloud-install-sys-tmplt(\.py)?|setup-sysvm-tmplt)$/
const javaFolders = [
  'services/secondary-storage/server/src/main/java',
  'services/console-proxy/server/src/main/java',
  'core/src/main/java/com/cloud/storage/template',
  'engine/storage/configdrive/src/main/java',
]
const sentOverSsh = 'core/src/main/java/com/cloud/agent/resource/virtualnetwork/VRScripts.java'
const userData = [
  'plugins/integrations/kubernetes-service/src/main/resources/conf',
  'plugins/integrations/kubernetes-service/src/main/resources/script',
  'plugins/storage/sharedfs/storagevm/src/main/resources/conf',
]

/** Reads a tree at `source`. */
export async function readTreeNeeds(source: string): Promise<TreeNeeds> {
  const needs = collectNeeds()
  const unread = [...scriptFolders, ...scriptFiles, ...javaFolders, sentOverSsh, ...userData].filter(
    (path) => !existsSync(join(source, path)),
  )
  const files = [
    ...scriptFolders.flatMap((folder) => filesBelow(join(source, folder))),
    ...scriptFiles.map((file) => join(source, file)).filter(existsSync),
  ].filter((file) => !ofManagementServer.test(file))
  const texts = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]))
  const scripts = [...texts].filter(([, text]) => /^#! ?\/\S*(\/|env )(ba|da)?sh\b/.test(text))
  // Most scripts read in others, of which these are the functions.
  const functions = new Set(scripts.flatMap(([, text]) => [...readShell(text).functions]))
  for (const [file, text] of scripts) addShell(needs, text, relative(source, file), functions)
  for (const [file, text] of texts) {
    const by = relative(source, file)
    if (file.endsWith('.service')) addUnitFile(needs, text, by)
    if (file.includes('/iptables/') || file.endsWith('.py') || file.endsWith('.sh'))
      addExtensions(needs, text, by)
    addServiceLists(needs, text, by)
  }
  const python = files.filter((file) => file.endsWith('.py'))
  const compiledModules = await addPython(needs, python, source)
  for (const file of javaFolders.flatMap((folder) => filesBelow(join(source, folder)))) {
    if (!file.endsWith('.java')) continue
    for (const command of javaCommands(readFileSync(file, 'utf8'))) {
      addShell(needs, command, relative(source, file), functions)
    }
  }
  if (existsSync(join(source, sentOverSsh))) {
    for (const [, name] of readFileSync(join(source, sentOverSsh), 'utf8').matchAll(
      /"([\w-]+\.(?:sh|py))"/g,
    )) {
      needs.add('path', `/opt/cloud/bin/${name}`, sentOverSsh)
    }
  }
  for (const file of userData.flatMap((folder) => filesBelow(join(source, folder)))) {
    addUserData(needs, readFileSync(file, 'utf8'), relative(source, file))
  }
  const chains = new Set(
    [...texts.values()].flatMap((text) => [...text.matchAll(/(?:^:|-N )(\w+)/gm)].map(([, name]) => name)),
  )
  const modules = new Set(python.flatMap((file) => [basename(file, '.py'), basename(dirname(file))]))
  const programs = new Set(files.map((file) => basename(file)))
  const paths = new Set<string>()
  for (const file of filesBelow(join(source, debian))) {
    for (
      let path = `/${relative(join(source, debian), file)}`;
      path !== '';
      path = path.slice(0, path.lastIndexOf('/'))
    )
      paths.add(path)
  }
  const brings: TreeNeeds['brings'] = ({ kind, name, by }) => {
    // To Kubernetes nodes and shared file systems nothing of the tree is copied.
    const isAlone = [...by].some((file) => userData.some((folder) => file.startsWith(folder)))
    if (isAlone) return kind === 'unit' || kind === 'path' ? needs.made.has(pathOf(kind, name)) : false
    const top = name.split('.')[0] as string
    if (kind === 'python module') return modules.has(top)
    if (kind === 'program') return programs.has(name)
    if (kind === 'iptables extension') return chains.has(name)
    const path = pathOf(kind, name)
    return paths.has(path) || needs.made.has(path)
  }
  return { needs: needs.all(), brings, unread, compiledModules }
}

// --- internal ---

const pathOf = (kind: Need['kind'], name: string) =>
  kind === 'unit' ? `/etc/systemd/system/${name}.service` : name

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesBelow(path) : [path]
  })
}

function addUnitFile(needs: Needs, text: string, by: string): void {
  for (const [, command = ''] of text.matchAll(/^Exec\w+=[-@:+!]*(.*)$/gm))
    addShell(needs, command.replace(/%\w/g, ''), by, new Set())
}

/** Matches and targets of iptables, which are libraries of its own. */
function addExtensions(needs: Needs, text: string, by: string): void {
  for (const [, name = ''] of text.matchAll(/\s-(?:m|-match) ([a-z]\w+)/g))
    needs.add('iptables extension', name, by)
  for (const [, name = ''] of text.matchAll(/\s-(?:j|-jump) ([A-Z]\w+)(?![\w%$])/g))
    needs.add('iptables extension', name, by)
}

/** Services that the last step of first boot is told to enable or to disable. */
function addServiceLists(needs: Needs, text: string, by: string): void {
  for (const [, names = '', list] of text.matchAll(
    /echo "([\w -]+)" >+ \/var\/cache\/cloud\/(enabled|disabled)_svcs/g,
  )) {
    for (const name of names.split(/\s+/))
      needs.add('unit', name, by, list === 'enabled' ? 'enable' : 'disable')
  }
}

async function addPython(
  needs: Needs,
  files: readonly string[],
  source: string,
): Promise<ReadonlySet<string>> {
  const helper = fileURLToPath(new URL('read-python.py', import.meta.url))
  const { stdout } = await execa('python3', [helper, ...files])
  const { sources, compiled } = JSON.parse(stdout) as {
    sources: Record<string, { imports: string[]; commands: string[]; paths: string[]; made: string[] }>
    compiled: string[]
  }
  for (const [file, { imports, commands, paths, made }] of Object.entries(sources)) {
    const by = relative(source, file)
    for (const name of imports) needs.add('python module', name, by)
    for (const command of commands) addShell(needs, command, by, new Set())
    for (const path of made) needs.made.add(path)
    for (const path of paths) needs.add('path', path, by)
  }
  return new Set(compiled)
}

interface CloudConfig {
  readonly write_files?: readonly { readonly path: string; readonly content: string }[]
  readonly runcmd?: readonly string[]
}

/** A cloud-config with the scripts that it writes, or such a script by itself. */
function addUserData(needs: Needs, text: string, by: string): void {
  if (text.startsWith('#!')) {
    addShell(needs, text, by, new Set())
    return
  }
  const plain = text.replace(/\{%.*?%\}/g, '').replace(/\{\{.*?\}\}/g, 'x')
  const { write_files = [], runcmd = [] } = parse(plain) as CloudConfig
  for (const { path } of write_files) needs.made.add(path)
  // Some read in others of them.
  const functions = new Set(write_files.flatMap(({ content }) => [...readShell(content).functions]))
  for (const { path, content } of write_files) {
    if (path.endsWith('.service')) addUnitFile(needs, content, by)
    else if (content.startsWith('#!')) addShell(needs, content, by, functions)
  }
  addShell(needs, runcmd.join('\n'), by, new Set())
}
