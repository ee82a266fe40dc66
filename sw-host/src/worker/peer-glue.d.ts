/** The wasm-bindgen glue as a factory, made by `build.mjs`: every call gives a fresh module scope and so a fresh peer. */
declare module 'kith:glue' {
  import type { PeerGlue, GlueHooks } from './glue-types.ts'
  export function createGlue(hooks: GlueHooks): PeerGlue
}

/** Names this build: package version and a digest of everything the worker consists of. */
declare const KITH_RELEASE: string
/** SHA-256 of the peer's wasm, lower-case hex. */
declare const KITH_WASM_SHA256: string
/** Where the wasm is, relative to the worker's script folder. */
declare const KITH_WASM_PATH: string
/** The text of the keep-alive script. */
declare const KITH_HEARTBEAT: string
