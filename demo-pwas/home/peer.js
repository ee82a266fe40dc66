// All that home asks of the peer, in one place.
import { ask, json } from '/assets/ask.js';
import '/kith.js';

export async function follow(onStatus) {
  const live = new EventSource('/~/peer');
  live.onmessage = (event) => onStatus(JSON.parse(event.data));
}
export const readName = async () => (await fetch('/~/me/profile/name').then((r) => (r.ok ? r.json() : ''))) || '';
export const writeName = (name) => ask('/~/me/profile/name', json('PUT', name));
export const createSpace = async (name) => (await ask('/~/spaces', json('POST', { name }))).json();
export const invite = async (space, role, app) => (await ask(`/~/${space}/$invites`, json('POST', { role, app }))).json();
export const join = async (url) => (await ask('/~/join', json('POST', { invite: url }))).json();
