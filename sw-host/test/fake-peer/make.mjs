// Writes the fake peer into a folder as build.mjs expects a peer: the glue, and a wasm of two functions.
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// (module (func (export "trap") unreachable) (func (export "enter")))
const WASM = '0061736d01000000010401600000030302000007100204747261700000' + '05656e746572' + '0001' + '0a08020300000b02000b'

/** @param {string} folder */
export async function makeFakePeer(folder) {
  await mkdir(folder, { recursive: true })
  await copyFile(join(dirname(fileURLToPath(import.meta.url)), 'peer.js'), join(folder, 'peer.js'))
  await writeFile(join(folder, 'peer_bg.wasm'), Buffer.from(WASM, 'hex'))
  return folder
}
