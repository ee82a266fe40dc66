//! JSON Pointer, RFC 6901, read strictly.

use super::MAX_DEPTH;

/// Why some text is no usable pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointerError {
    /// Not a pointer.
    Malformed,
    /// More than [`MAX_DEPTH`] tokens.
    TooDeep,
}

/// The tokens of a pointer, unescaped.
pub(super) fn parse(text: &str) -> Result<Vec<String>, PointerError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rest = text.strip_prefix('/').ok_or(PointerError::Malformed)?;
    let mut tokens = Vec::new();
    for token in rest.split('/') {
        if tokens.len() == MAX_DEPTH {
            return Err(PointerError::TooDeep);
        }
        tokens.push(unescape(token)?);
    }
    Ok(tokens)
}

fn unescape(token: &str) -> Result<String, PointerError> {
    let mut plain = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::Malformed),
            },
            other => other,
        });
    }
    Ok(plain)
}

/// An array index as RFC 6901 writes it: digits without leading zeros.
pub(super) fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    if !canonical || token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An index with more digits than fit lies past the end of any array.
    Some(token.parse().unwrap_or(usize::MAX))
}
