// The templates used by the demos come from lit-html (see docs/decisions): a page is drawn anew from its state on every change, and only what differs touches the DOM.
export { html, svg, nothing, render } from '/assets/vendor/lit-html/lit-html.js'
export { live } from '/assets/vendor/lit-html/directives/live.js'
export { ref } from '/assets/vendor/lit-html/directives/ref.js'
export { repeat } from '/assets/vendor/lit-html/directives/repeat.js'
