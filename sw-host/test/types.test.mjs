// kith.d.ts stands alone and says what the guide's examples need.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { declarations } from '../declarations.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

test('every TypeScript example of the guide fits kith.d.ts, strictly', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kith-types-'))
  try {
    const guide = readFileSync(join(root, 'docs', 'guides', 'author.md'), 'utf8')
    const examples = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code)
    assert.ok(examples.length >= 5, 'the guide has examples')
    writeFileSync(join(folder, 'kith.d.ts'), await declarations(join(root, 'sw-host', 'src')))
    const fits = (code) => code.replaceAll("'/kith.js'", "'./kith.js'")
    examples.forEach((code, n) => writeFileSync(join(folder, `example-${n}.ts`), `${fits(code)}\nexport {}\n`))
    const config = { compilerOptions: { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom', 'dom.iterable'], types: [] }, include: ['*.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    try {
      execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder], { encoding: 'utf8', stdio: 'pipe' })
    } catch (error) {
      assert.fail(error.stdout)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
