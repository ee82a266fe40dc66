// Text engines behind the same few functions, for Node and for pages. `tell` is an edit with the bytes that tell others of it.
import * as Automerge from '@automerge/automerge/slim'
import { automergeWasmBase64 } from '@automerge/automerge/automerge.wasm.base64'
import startDiamondWeb, { Doc as DiamondWeb } from 'diamond-types-web'
import diamondWebWasm from 'diamond-types-web/dt_bg.wasm'
import { LoroDoc } from 'loro-crdt/base64'
import * as Y from 'yjs'
import startPage, { Bare, Ours, openBare, openOurs } from 'kith-text-page'
import pageWasm from 'kith-text-page/wasm'

let started
/** Compiles what is wasm. */
export const start = () =>
  (started ??= Promise.all([startPage({ module_or_path: pageWasm }), startDiamondWeb(diamondWebWasm), Automerge.initializeBase64Wasm(automergeWasmBase64)]))

const inWasm = (Engine, open) => ({
  create: (writer) => Engine.create(writer),
  edit: (doc, pos, len, text) => doc.edit(pos, len, text),
  tell: (doc, pos, len, text) => doc.editAndTell(pos, len, text),
  take: (doc, bytes, settle) => doc.take(bytes, settle),
  settle: (doc) => doc.settle(),
  text: (doc) => doc.text(),
  save: (doc) => doc.save(),
  open,
  free: (doc) => doc.free(),
})

const yjs = {
  create(writer) {
    const doc = new Y.Doc()
    doc.clientID = writer + 1
    doc.getText('text')
    const one = { doc, text: doc.getText('text'), told: undefined }
    doc.on('update', (update, origin) => origin !== 'others' && (one.told = update))
    return one
  },
  edit({ doc, text }, pos, len, insert) {
    doc.transact(() => {
      if (len > 0) text.delete(pos, len)
      if (insert) text.insert(pos, insert)
    })
  },
  tell(one, ...edit) {
    yjs.edit(one, ...edit)
    return one.told
  },
  take: ({ doc }, bytes) => Y.applyUpdate(doc, bytes, 'others'),
  settle() {},
  text: ({ text }) => text.toString(),
  save: ({ doc }) => Y.encodeStateAsUpdate(doc),
  open(bytes) {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, bytes)
    return doc.getText('text').toString()
  },
  free: ({ doc }) => doc.destroy(),
}

const loro = {
  create(writer) {
    const doc = new LoroDoc()
    doc.setPeerId(BigInt(writer + 1))
    return { doc, text: doc.getText('text') }
  },
  edit({ doc, text }, pos, len, insert) {
    if (len > 0) text.delete(pos, len)
    if (insert) text.insert(pos, insert)
    doc.commit()
  },
  tell(one, ...edit) {
    const from = one.doc.oplogVersion()
    loro.edit(one, ...edit)
    return one.doc.export({ mode: 'update', from })
  },
  take: ({ doc }, bytes) => doc.import(bytes),
  settle() {},
  text: ({ text }) => text.toString(),
  save: ({ doc }) => doc.export({ mode: 'snapshot' }),
  open(bytes) {
    const doc = new LoroDoc()
    doc.import(bytes)
    return doc.getText('text').toString()
  },
  free: ({ doc }) => doc.free(),
}

/** All replicas begin with the same change, which makes the text. */
let automergeBegin
const automerge = {
  create(writer) {
    automergeBegin ??= Automerge.save(Automerge.from({ text: '' }, { actor: 'ff'.repeat(16) }))
    return { doc: Automerge.load(automergeBegin, { actor: (writer + 1).toString(16).padStart(32, '0') }) }
  },
  edit(one, pos, len, insert) {
    one.doc = Automerge.change(one.doc, (draft) => Automerge.splice(draft, ['text'], pos, len, insert))
  },
  tell(one, ...edit) {
    automerge.edit(one, ...edit)
    return Automerge.getLastLocalChange(one.doc)
  },
  take(one, bytes) {
    ;[one.doc] = Automerge.applyChanges(one.doc, [bytes])
  },
  settle() {},
  text: ({ doc }) => doc.text,
  save: ({ doc }) => Automerge.save(doc),
  open: (bytes) => Automerge.load(bytes).text,
  free: ({ doc }) => Automerge.free(doc),
}

const diamondWeb = {
  create: (writer) => new DiamondWeb(`writer ${writer}`),
  edit(doc, pos, len, insert) {
    if (len > 0) doc.del(pos, len)
    if (insert) doc.ins(pos, insert)
  },
  tell(doc, ...edit) {
    const before = doc.getLocalVersion()
    diamondWeb.edit(doc, ...edit)
    return doc.getPatchSince(before)
  },
  take: (doc, bytes) => doc.mergeBytes(bytes),
  settle() {},
  text: (doc) => doc.get(),
  save: (doc) => doc.toBytes(),
  open: (bytes) => DiamondWeb.fromBytes(bytes).get(),
  free: (doc) => doc.free(),
}

/** By the name tables show. Those that bring the text up to date by themselves have nothing to settle. */
export const engines = {
  'Kith engine': inWasm(Ours, openOurs),
  'diamond-types': inWasm(Bare, openBare),
  'diamond-types-web': diamondWeb,
  Yjs: yjs,
  Loro: loro,
  Automerge: automerge,
}
