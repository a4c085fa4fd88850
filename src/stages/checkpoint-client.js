/**
 * Packer runs this on the host after each stage: it asks the build, over its socket, to seal the stage's layer, and waits for
 * the response. Plain JavaScript with Node's own modules, so that it starts at once.
 */

import { connect } from 'node:net'

const [socketPath = '', stage] = process.argv.slice(2)
const socket = connect(socketPath)
let answer = ''
socket.setEncoding('utf8')
socket.on('data', (text) => {
  answer += text
})
socket.on('end', () => {
  if (answer.trim() !== 'sealed') console.error(`the layer of ${stage} was not sealed: ${answer.trim()}`)
  process.exit(answer.trim() === 'sealed' ? 0 : 1)
})
socket.on('error', (error) => {
  console.error(`the build does not answer at ${socketPath}: ${error.message}`)
  process.exit(1)
})
socket.end(`${stage}\n`)
