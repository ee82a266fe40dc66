//! The text in pieces: an edit moves at most one piece's bytes, and a commit writes only the pieces that changed.
//!
//! Pieces are a plain list with the place of the last edit remembered, since edits come in neighbourhoods; a jump walks
//! over lengths of pieces, of which the largest text has a few thousand. No randomness, unlike a skip list.

use crate::engine::Change;

/// The most bytes in a piece.
pub(crate) const MAX_PIECE: usize = 4096;
/// Pieces are cut to this, so that they can grow.
const CUT: usize = 3072;
/// Neighbours that fit into `CUT` together are joined when one is below this.
const SMALL: usize = 1024;

struct Piece {
    id: u32,
    text: String,
    chars: u32,
    dirty: bool,
}

/// A text in pieces. Positions count code points; what lies beyond the end is clamped to it.
#[derive(Default)]
pub(crate) struct Rope {
    pieces: Vec<Piece>,
    chars: u32,
    /// A piece, and how many code points are before it.
    near: (usize, u32),
    next_id: u32,
    gone: Vec<u32>,
}

/// How many code points a text has.
fn count(text: &str) -> u32 {
    text.as_bytes().iter().filter(|byte| (**byte as i8) >= -0x40).count() as u32
}

/// The byte at which the code point `at` begins.
fn byte_of(text: &str, chars: u32, at: u32) -> usize {
    if chars as usize == text.len() {
        return (at as usize).min(text.len());
    }
    let (mut left, mut byte) = (at, 0);
    for block in text.as_bytes().chunks(64) {
        let here = block.iter().filter(|byte| (**byte as i8) >= -0x40).count() as u32;
        if here > left {
            break;
        }
        left -= here;
        byte += block.len();
    }
    // The block may begin inside a code point.
    while byte < text.len() && !text.is_char_boundary(byte) {
        byte += 1;
    }
    let rest = text.get(byte..).unwrap_or_default();
    rest.char_indices().nth(left as usize).map_or(text.len(), |(offset, _)| byte + offset)
}

/// Cuts a text into pieces of at most `CUT` bytes.
fn cut(mut text: &str, mut each: impl FnMut(&str)) {
    while text.len() > CUT {
        let mut at = CUT;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = text.split_at(at);
        each(head);
        text = tail;
    }
    if !text.is_empty() {
        each(text);
    }
}

impl Rope {
    /// A text.
    #[cfg(test)]
    pub(crate) fn new(text: &str) -> Rope {
        let mut rope = Rope::default();
        rope.insert(0, text);
        rope
    }

    /// A text from stored pieces, in order. `None` if an id comes twice.
    pub(crate) fn from_pieces(stored: Vec<(u32, String)>) -> Option<Rope> {
        let mut rope = Rope::default();
        let mut ids: Vec<u32> = stored.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        if !ids.is_sorted_by(|left, right| left < right) {
            return None;
        }
        rope.next_id = ids.last().map_or(Some(0), |last| last.checked_add(1))?;
        for (id, text) in stored {
            let chars = count(&text);
            rope.chars = rope.chars.checked_add(chars)?;
            rope.pieces.push(Piece { id, text, chars, dirty: false });
        }
        Some(rope)
    }

    /// How many code points there are.
    pub(crate) fn len_chars(&self) -> u32 {
        self.chars
    }

    /// Everything as one string.
    pub(crate) fn text(&self) -> String {
        let mut all = String::with_capacity(self.pieces.iter().map(|piece| piece.text.len()).sum());
        self.pieces.iter().for_each(|piece| all.push_str(&piece.text));
        all
    }

    /// The piece with the code point `pos`, or the last; and how many are before it. At a border it is the earlier one.
    fn find(&mut self, pos: u32) -> (usize, u32) {
        let (mut index, mut before) = self.near;
        if index >= self.pieces.len() {
            (index, before) = (0, 0);
        }
        while index > 0 && pos <= before {
            index -= 1;
            before -= self.pieces.get(index).map_or(before, |piece| piece.chars).min(before);
        }
        while let Some(piece) = self.pieces.get(index) {
            if pos <= before + piece.chars || index + 1 == self.pieces.len() {
                break;
            }
            before += piece.chars;
            index += 1;
        }
        self.near = (index, before);
        self.near
    }

    fn piece(&mut self, text: String) -> Piece {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        Piece { id, chars: count(&text), text, dirty: true }
    }

    /// Does what an engine tells.
    pub(crate) fn apply(&mut self, change: &Change<'_>) {
        match *change {
            Change::Insert { pos, text } => self.insert(pos, text),
            Change::Delete { pos, len } => self.remove(pos, len),
        }
    }

    /// Puts text before the code point `pos`.
    pub(crate) fn insert(&mut self, pos: u32, text: &str) {
        let pos = pos.min(self.chars);
        let (index, before) = self.find(pos);
        let chars = count(text);
        self.chars = self.chars.saturating_add(chars);
        let Some(piece) = self.pieces.get_mut(index) else {
            let mut made = Vec::new();
            cut(text, |part| made.push(part.to_owned()));
            for part in made {
                let piece = self.piece(part);
                self.pieces.push(piece);
            }
            return;
        };
        let at = byte_of(&piece.text, piece.chars, pos - before);
        if piece.text.len() + text.len() <= MAX_PIECE {
            piece.text.insert_str(at, text);
            piece.chars += chars;
            piece.dirty = true;
            return;
        }
        let tail = piece.text.split_off(at);
        let joined = [std::mem::take(&mut piece.text).as_str(), text, tail.as_str()].concat();
        let mut parts = Vec::new();
        // What is a little too long is halved, so that typing does not cut again at once.
        if joined.len() <= 2 * CUT {
            let mut half = joined.len() / 2;
            while !joined.is_char_boundary(half) {
                half -= 1;
            }
            let (left, right) = joined.split_at(half);
            parts.extend([left.to_owned(), right.to_owned()]);
        } else {
            cut(&joined, |part| parts.push(part.to_owned()));
        }
        let mut parts = parts.into_iter();
        if let (Some(piece), Some(first)) = (self.pieces.get_mut(index), parts.next()) {
            piece.chars = count(&first);
            piece.text = first;
            piece.dirty = true;
        }
        let more: Vec<Piece> = parts.map(|part| self.piece(part)).collect();
        self.pieces.splice(index + 1..index + 1, more);
    }

    /// Takes `len` code points out, from `pos` on.
    pub(crate) fn remove(&mut self, pos: u32, len: u32) {
        let pos = pos.min(self.chars);
        let mut left = len.min(self.chars - pos);
        self.chars -= left;
        let (mut index, before) = self.find(pos);
        let mut from = pos - before;
        let first = index;
        while left > 0 {
            let Some(piece) = self.pieces.get_mut(index) else { break };
            let here = left.min(piece.chars - from.min(piece.chars));
            if here > 0 {
                let start = byte_of(&piece.text, piece.chars, from);
                let end = if here == piece.chars - from {
                    piece.text.len()
                } else {
                    let rest = piece.text.get(start..).unwrap_or_default();
                    start + byte_of(rest, piece.chars - from, here)
                };
                piece.text.drain(start..end);
                piece.chars -= here;
                piece.dirty = true;
            }
            left -= here;
            from = 0;
            index += 1;
        }
        self.tidy(first, index);
    }

    /// Drops empty pieces and joins small ones, from piece `first` to the one before `end`.
    fn tidy(&mut self, first: usize, end: usize) {
        let gone = &mut self.gone;
        let mut place = 0;
        let small = |piece: &Piece| piece.text.len() < SMALL;
        let touched = self.pieces.get(first..end.min(self.pieces.len())).unwrap_or_default();
        if !touched.iter().any(small) {
            return;
        }
        if touched.iter().any(|piece| piece.text.is_empty()) {
            self.pieces.retain(|piece| {
                let inside = place >= first && place < end;
                place += 1;
                let empty = inside && piece.text.is_empty();
                if empty {
                    gone.push(piece.id);
                }
                !empty
            });
        }
        for index in [first + 1, first] {
            let Some(left) = index.checked_sub(1) else { continue };
            let Some([one, two]) = self.pieces.get(left..left + 2) else { continue };
            if (small(one) || small(two)) && one.text.len() + two.text.len() <= CUT {
                let two = self.pieces.remove(index);
                self.gone.push(two.id);
                if let Some(one) = self.pieces.get_mut(left) {
                    one.text.push_str(&two.text);
                    one.chars += two.chars;
                    one.dirty = true;
                }
            }
        }
        self.near = (0, 0);
    }

    /// The ids of all pieces, in order.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.pieces.iter().map(|piece| piece.id)
    }

    /// Gives every changed piece to `changed` and the id of every piece that is no more to `gone`, and forgets them.
    pub(crate) fn take_dirty(&mut self, mut changed: impl FnMut(u32, &str), mut gone: impl FnMut(u32)) {
        self.gone.drain(..).for_each(&mut gone);
        for piece in self.pieces.iter_mut().filter(|piece| piece.dirty) {
            changed(piece.id, &piece.text);
            piece.dirty = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_like_a_string(edits in proptest::collection::vec((any::<u32>(), any::<u16>(), any::<bool>(), "[a-cé😀]{0,9}"), 1..120)) {
            let (mut rope, mut plain) = (Rope::default(), Vec::<char>::new());
            let mut stored = BTreeMap::new();
            for (pos, len, insert, text) in edits {
                // Long runs, so that pieces are cut and joined.
                let text = text.repeat(usize::from(len) % 700);
                let pos = pos % (plain.len() as u32 + 1);
                if insert {
                    rope.insert(pos, &text);
                    plain.splice(pos as usize..pos as usize, text.chars());
                } else {
                    let len = u32::from(len) % 9000;
                    rope.remove(pos, len);
                    plain.drain(pos as usize..(pos as usize + len as usize).min(plain.len()));
                }
                let expected: String = plain.iter().collect();
                prop_assert_eq!(rope.len_chars() as usize, plain.len());
                prop_assert_eq!(&rope.text(), &expected);
                prop_assert!(rope.pieces.iter().all(|piece| !piece.text.is_empty() && piece.text.len() <= MAX_PIECE));
                // What was told to be stored is the text.
                let (mut changed, mut gone) = (Vec::new(), Vec::new());
                rope.take_dirty(|id, text| changed.push((id, text.to_owned())), |id| gone.push(id));
                gone.iter().for_each(|id| { stored.remove(id); });
                stored.extend(changed);
                prop_assert_eq!(stored.len(), rope.pieces.len());
                let pieces: Vec<(u32, String)> = rope.ids().map(|id| (id, stored[&id].clone())).collect();
                prop_assert_eq!(Rope::from_pieces(pieces).unwrap().text(), expected);
            }
        }
    }

    #[test]
    fn what_is_beyond_the_end_is_clamped() {
        let mut rope = Rope::new("ab");
        rope.insert(9, "c");
        rope.remove(2, 100);
        rope.remove(50, 1);
        assert_eq!(rope.text(), "ab");
    }

    #[test]
    fn pieces_do_not_share_an_id() {
        assert!(Rope::from_pieces(vec![(1, "a".into()), (1, "b".into())]).is_none());
        assert!(Rope::from_pieces(vec![(u32::MAX, "a".into())]).is_none());
    }
}
