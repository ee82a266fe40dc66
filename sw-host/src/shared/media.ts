/** Media types. */

/** Whether a media type is JSON, by its own name or a `+json` one. */
export const isJson = (media: string): boolean => /^application\/(?:[\w.+-]+\+)?json\b/.test(media)
