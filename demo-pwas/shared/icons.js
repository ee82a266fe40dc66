// Line icons drawn with the text's colour. They are decoration: the button around them carries the words.
import { html } from '/assets/html.js'

const icon = (path) => html`<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false" fill="none" stroke="currentColor"
  stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=${path}></path></svg>`

export const addIcon = icon('M12 5v14M5 12h14')
export const closeIcon = icon('M6 6l12 12M18 6 6 18')
export const copyIcon = icon('M9 9h10v11H9zM5 15V4h10')
export const shareIcon = icon('M12 15V4M8 8l4-4 4 4M5 13v7h14v-7')
export const inviteIcon = icon('M15 20a6 6 0 0 0-12 0M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M19 8v6M16 11h6')
export const moveIcon = icon('M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3')
export const deleteIcon = icon('M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13')
export const paletteIcon = icon('M12 3a9 9 0 1 0 0 18c1.6 0 2-1 1.6-2-.7-1.7.3-3 2-3H18a3 3 0 0 0 3-3c0-5.5-4-10-9-10M8 9.5v.01M12 7v.01M16 9.5v.01')
export const openIcon = icon('M9 6l6 6-6 6')
export const stopIcon = icon('M7 7h10v10H7z')
export const playIcon = icon('M8 5l11 7-11 7z')
