// `npm run build [-- --dev]`: the peer as wasm, the web files in dist/. `--dev` compiles quickly and larger.
import { main, say } from './lib/say.mjs'
import { ensurePackages, ensureRust } from './lib/setup.mjs'
import { buildWasm, buildWeb } from './lib/steps.mjs'

await main(async () => {
  const dev = process.argv.includes('--dev')
  await ensureRust()
  await ensurePackages()
  await buildWasm({ dev })
  await buildWeb({ dev })
  say('build', 'done: dist/ is what the relay serves')
})
