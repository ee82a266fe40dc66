//! `Repr-Digest` (RFC 9530): a check that what came is what was sent.

use super::message::Fields;
use super::problem::{Checked, Kind, Problem};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// The field that goes with a whole representation.
pub(super) fn of(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(bytes)))
}

/// Refuses a whole representation that is not the one its digest was made of. Other algorithms are passed over.
pub(super) fn check(fields: &Fields, bytes: &[u8]) -> Checked<()> {
    let Some(text) = fields.text("repr-digest")? else { return Ok(()) };
    for member in text.split(',') {
        let wrong = || Problem::header("repr-digest", "must be such as sha-256=:…: with base64 between the colons");
        let (name, value) = member.trim().split_once('=').ok_or_else(wrong)?;
        let encoded = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(wrong)?;
        let claimed = BASE64.decode(encoded.as_bytes()).map_err(|_| wrong())?;
        if name.eq_ignore_ascii_case("sha-256") && claimed != Sha256::digest(bytes).as_slice() {
            let detail = "The body is not what its Repr-Digest was made of, so nothing was changed. Send it again.";
            return Err(Problem::new(Kind::DigestMismatch, detail).with_header("Repr-Digest", of(bytes)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_checked() {
        assert_eq!(of(b""), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
        let outcome = |text: &str| {
            let fields = Fields::new(vec![("Repr-Digest".to_owned(), text.to_owned())]).unwrap();
            check(&fields, b"tea").map_err(|problem| problem.status())
        };
        let right = of(b"tea");
        for good in [right.clone(), format!("sha-512=:AAAA:, {right}"), "md5=:AAAA:".to_owned()] {
            assert_eq!(outcome(&good), Ok(()), "{good}");
        }
        assert_eq!(outcome(&of(b"coffee")), Err(550));
        for bad in ["sha-256", "sha-256=AAAA", "sha-256=:?:", ""] {
            assert_eq!(outcome(bad), Err(400), "{bad}");
        }
    }
}
