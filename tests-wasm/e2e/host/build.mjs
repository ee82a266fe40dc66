// Builds the host for a test: around the fake peer that can be made to crash, or around the real one; in releases of any name.
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFakePeer } from '../../../sw-host/test/fake-peer/make.mjs'
import { ROOT, startProcess, tempDir } from '../../harness/index.mjs'

let fake

/**
 * Builds the worker and the page script into a folder.
 * @param {object} options
 * @param {'fake'|'real'} [options.peer]
 * @param {string} [options.suffix] added to the release's name, so that it is another release
 * @param {string} [options.into] the folder; a temporary one by default
 */
export async function buildHost({ peer = 'fake', suffix = '', into = tempDir('kith-host') } = {}) {
  fake ??= makeFakePeer(tempDir('kith-fake-peer'))
  const bindgen = peer === 'fake' ? await fake : join(ROOT, 'target', 'kith', 'bindgen')
  const building = startProcess(process.execPath, [join(ROOT, 'sw-host', 'build.mjs')], {
    name: 'host build',
    env: { KITH_BINDGEN: bindgen, KITH_DIST: into, KITH_RELEASE_SUFFIX: suffix },
  })
  const { code } = await building.exited
  if (code !== 0) throw new Error(`sw-host did not build\n${building.lines.join('\n')}`)
  return into
}

/** Puts a build in the place of another, as a deployment does. */
export async function deploy(from, to) {
  for (const name of ['kith.js', 'kith-worker.js', 'kith-worker-classic.js', 'kith']) {
    await rm(join(to, name), { recursive: true, force: true })
    await cp(join(from, name), join(to, name), { recursive: true })
  }
}
