// The public editing traces of several writers through browsers, as logs of signed and sealed entries that say what was recorded: their authors were invited
// to a space of somebody in one browser, who takes their logs in as a file; over WebRTC they come to another browser. Both end with the
// recorded text. A test of the core writes the logs (`sim_text_traces`). The beginning of one trace in ordinary runs, all of four with KITH_LONG=1.
// limit: 30 min
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { crates } from '../../scripts/lib/crates.mjs'
import { availableBrowsers, missing, ROOT, startRelay, waitFor } from '../harness/index.mjs'
import { tracesFolder } from '../harness/traces.mjs'
import { NETWORK_MS, person } from './peers-support.mjs'

const LONG = Boolean(process.env.KITH_LONG)
const TRACES = LONG ? ['friendsforever', 'clownschool', 'git-makefile', 'node_nodecc'] : ['friendsforever']
const folder = tracesFolder()
const skip = missing('chromium') || (folder ? false : 'the editing traces are not here; set KITH_TRACES to their folder')
const other = availableBrowsers().includes('firefox') ? 'firefox' : 'chromium'

/** The core's test program, as the tests in Rust have it; optimised where all of it is played. */
async function writer() {
  const kind = LONG ? ['--release', '-p', 'kith-core'] : crates().flatMap((name) => ['-p', name])
  const { stdout } = await promisify(execFile)('cargo', ['test', '-q', '--locked', '--no-run', '--message-format=json', ...kind], { cwd: ROOT, maxBuffer: 1 << 28 })
  const told = stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  const program = told.find(({ target, executable }) => executable && target?.name === 'all' && target.src_path.includes('core'))?.executable
  assert.ok(program, 'the test program of the core was not built')
  return program
}

const give = async (space) => {
  const answer = await fetch(`/~/${space}/$export?keys=1`)
  const bytes = new Uint8Array(await answer.arrayBuffer())
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

const take = async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
  const answer = await fetch('/~/import', { method: 'POST', body: new Blob([bytes]), headers: { 'Content-Type': 'application/vnd.kith.space' } })
  return { status: answer.status, json: await answer.json() }
}

describe(`editing traces in a space in chromium, from there to ${other}`, { skip }, () => {
  let relay
  let files
  let ada
  let ben
  const spaces = new Map()
  before(async () => {
    relay = await startRelay()
    ada = await person('chromium', relay.url)
    ben = await person(other, relay.url)
    ada.page.evaluateTimeout = (LONG ? 20 : 2) * NETWORK_MS
    files = mkdtempSync(join(tmpdir(), 'kith-spaces-'))
    for (const trace of TRACES) {
      const id = await ada.space(trace)
      const url = await ada.invite(id)
      spaces.set(trace, { id, url })
      writeFileSync(join(files, `${trace}.space`), Buffer.from(await ada.page.evaluate(give, id), 'base64'))
      writeFileSync(join(files, `${trace}.link`), url)
    }
    await promisify(execFile)(await writer(), ['for_spaces_of_others'], { cwd: join(ROOT, 'peer-wasm', 'core'), env: { ...process.env, KITH_SPACES: files, KITH_TRACES: folder } })
  })
  after(async () => {
    await Promise.all([ada?.browser.close(), ben?.browser.close()])
    await relay?.kill()
    if (files) rmSync(files, { recursive: true })
  })

  for (const trace of TRACES) {
    it(`${trace}: both end with the text`, async (t) => {
      const file = (kind) => join(files, `${trace}.${kind}`)
      const { id, url } = spaces.get(trace)
      const expected = readFileSync(file('txt'), 'utf8')
      assert.ok(expected.length > 100, expected)
      const began = Date.now()
      const taken = await ada.page.evaluate(take, readFileSync(file('kith')).toString('base64'))
      assert.deepEqual([taken.status, taken.json.refused], [200, {}])
      const ends = (who) =>
        waitFor(async () => (await who.ask('GET', `/~/${id}/t`)).text === expected, { what: `${who.browser.kind} to show the text`, timeout: (LONG ? 20 : 2) * NETWORK_MS })
      await ends(ada)
      const there = Date.now()
      await ben.join(url)
      await ends(ben)
      t.diagnostic(`${taken.json.new} entries taken in and merged in ${there - began} ms, at the other ${Date.now() - there} ms after it joined`)
    })
  }
})
