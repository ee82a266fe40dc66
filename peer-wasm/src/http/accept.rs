//! Choosing among the forms an answer can have.

/// The media type of Server-Sent Events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// The media type of JSON.
pub(super) const JSON: &str = "application/json";
/// The media type of one JSON value per line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Whether `Accept` names `media` itself and does not like JSON better. Anything unreadable counts as not named.
pub(super) fn asks_for(accept: Option<&str>, media: &str) -> bool {
    let accept = accept.unwrap_or_default();
    match quality(accept, media) {
        None | Some(0) => false,
        Some(wanted) => wanted >= quality(accept, JSON).unwrap_or(0),
    }
}

/// Whether `Accept` asks for one JSON value per line, by either of its usual names.
pub(super) fn asks_for_lines(accept: Option<&str>) -> bool {
    asks_for(accept, NDJSON) || asks_for(accept, "application/ndjson")
}

/// The weight of a media type that is named itself, in thousandths.
fn quality(accept: &str, media: &str) -> Option<u16> {
    accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(media) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0)))
    })
}

fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_and_not_outweighed() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8, */*", true),
            ("application/json, text/event-stream", true),
            ("application/json, text/event-stream;q=0.9", false),
            ("application/json;q=0.5, text/event-stream;q=0.75", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream;q=banana", false),
            ("text/event-stream;q=1.5", false),
            ("*/*", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(asks_for(Some(accept), EVENT_STREAM), wanted, "{accept}");
        }
        assert!(!asks_for(None, EVENT_STREAM));
        assert!(asks_for_lines(Some("application/x-ndjson")) && asks_for_lines(Some("application/ndjson")));
    }
}
