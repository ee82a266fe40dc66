//! The rows a peer keeps: what `kith-store` stores and what the core asks it for.
//!
//! The core never touches a store. It says which rows it needs ([`Read`]) and which rows change together
//! ([`Batch`]); the driver carries both to a `Store` and brings the answers back as inputs.

/// A named table of rows with binary keys, ordered by key bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single rows: schema version, keys, settings, the list of spaces.
    Meta,
    /// One row per log of a space: length, last hash, member. Never large, loaded when a space is first used.
    Head,
    /// The newest entries, one row each.
    Tail,
    /// Sealed runs of entries of one log, many in one row.
    Segment,
    /// The merged state: one row per place in a space's tree.
    View,
    /// What arrived in which order: the source of `$changes`.
    Arrival,
    /// Which op touched which place when (see [`crate::history`]): what reads of the past look up.
    History,
}

impl Table {
    /// Every table, in a fixed order. Tables are only ever added at the end.
    pub const ALL: [Table; 7] =
        [Table::Meta, Table::Head, Table::Tail, Table::Segment, Table::View, Table::Arrival, Table::History];

    /// The table's stable name, as backends store it.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Head => "head",
            Table::Tail => "tail",
            Table::Segment => "segment",
            Table::View => "view",
            Table::Arrival => "arrival",
            Table::History => "history",
        }
    }
}

/// A half-open range of keys: `start` is in, `end` is out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key in the range.
    pub start: Vec<u8>,
    /// The first key past the range.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// The range of every key that begins with `prefix`.
    ///
    /// `prefix` must not be empty or consist of `0xff` bytes only (nothing comes after those).
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < 0xff {
                end.push(last + 1);
                break;
            }
        }
        KeyRange { start: prefix.to_vec(), end }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }
}

/// One question to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// The row under one key. Answered with one row or none.
    Get {
        /// The table.
        table: Table,
        /// The key.
        key: Vec<u8>,
    },
    /// Up to `limit` rows of a range, in key order or, if `reverse`, from the end.
    Scan {
        /// The table.
        table: Table,
        /// The keys.
        range: KeyRange,
        /// At most this many rows.
        limit: usize,
        /// From the last key backwards.
        reverse: bool,
    },
}

/// Rows as `(key, value)`, in the order asked for.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// How sure a commit must be before it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// Atomic and safe when the program dies; may be lost when the machine loses power. For what others hold too.
    #[default]
    Relaxed,
    /// On disk before it is reported. For acknowledged writes and for the heads of own logs.
    Strict,
}

/// Row changes that happen together or not at all.
///
/// Order of effect: `delete_ranges`, then `deletes`, then `puts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Ranges to empty.
    pub delete_ranges: Vec<(Table, KeyRange)>,
    /// Rows to remove.
    pub deletes: Vec<(Table, Vec<u8>)>,
    /// Rows to write, `(table, key, value)`.
    pub puts: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// How sure the commit must be.
    pub durability: Durability,
}

impl Batch {
    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.delete_ranges.is_empty() && self.deletes.is_empty() && self.puts.is_empty()
    }

    /// Bytes of keys and values written.
    pub fn bytes(&self) -> usize {
        self.puts.iter().map(|(_, key, value)| key.len() + value.len()).sum()
    }
}
