/**
 * `/kith-editors.js`: texts in the page's own elements. Separate from `kith.js`, so that only those who edit texts load it.
 *
 *     import { connect } from '/kith.js'
 *     import { bindTextarea } from '/kith-editors.js'
 *     bindTextarea(document.querySelector('textarea'), connect().space().text('plan'))
 */
export { bindEditable } from './editable.ts'
export type { Binding } from './surface.ts'
export { bindTextarea } from './textarea.ts'
