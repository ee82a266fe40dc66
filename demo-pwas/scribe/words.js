// Counting what was written.
const segmenter = typeof Intl.Segmenter === 'function' ? new Intl.Segmenter(undefined, { granularity: 'word' }) : undefined
/** Longer texts are counted by spaces: looking for the words of every language in them takes too long while somebody types. */
const LONG = 200_000

/** How many words a text has, in whatever language. */
export function countWords(text) {
  if (!segmenter || text.length > LONG) return text.match(/\S+/g)?.length ?? 0
  let count = 0
  for (const { isWordLike } of segmenter.segment(text)) if (isWordLike) count += 1
  return count
}

/** A file name for a text: its own, with an ending if it has none, and without what file systems refuse. */
export const fileName = (name) => `${name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, '-')}${/\.[a-z0-9]{1,8}$/i.test(name) ? '' : '.txt'}`
