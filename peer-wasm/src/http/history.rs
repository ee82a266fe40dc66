//! The past in requests: which point one names, and the list of versions.

use super::documents::url_path;
use super::limits::MAX_TIME_CHARS;
use super::message::Fields;
use super::problem::{Checked, Problem};
use super::url::{Url, percent_encode};
use super::versions;
use data_encoding::BASE64URL_NOPAD;
use kith_core::api::{At, HistoryItem};
use kith_core::path::Path;
use kith_core::version::Version;
use serde_json::{Value as Json, json};

/// The point a read names by `Version`, `?version=` or `?at=`, if it names one.
pub(super) fn at(url: &Url, fields: &Fields) -> Checked<Option<At>> {
    let header = versions::read_strings("version", fields.text("version")?.unwrap_or_default())?;
    let parameter = versions::split(url.parameter("version")?.unwrap_or_default());
    let time = url.parameter("at")?.filter(|time| !time.is_empty());
    let ids = match (header.is_empty(), parameter.is_empty(), time) {
        (true, true, None) => return Ok(None),
        (true, true, Some(time)) => return Ok(Some(At::Time(moment("at", time)?))),
        (false, true, None) => header,
        (true, false, None) => parameter,
        (false, false, _) => return Err(Problem::parameter("version", "and the header Version exclude each other")),
        (_, _, Some(_)) => return Err(Problem::parameter("at", "and a version exclude each other")),
    };
    versions::known(ids).map(|known| Some(At::Versions(known)))
}

/// The point to restore: versions, or a time.
pub(super) fn from(url: &Url) -> Checked<Option<At>> {
    let Some(text) = url.parameter("from")? else { return Ok(None) };
    if let Ok(millis) = moment("from", text) {
        return Ok(Some(At::Time(millis)));
    }
    match versions::known(versions::split(text))? {
        known if known.is_empty() => Err(Problem::parameter("from", "must be a version, or a time")),
        known => Ok(Some(At::Versions(known))),
    }
}

/// The hash of an entry that a strong link names.
pub(super) fn hash(url: &Url) -> Checked<Option<[u8; 32]>> {
    let Some(text) = url.parameter("hash")? else { return Ok(None) };
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or_else(|| Problem::parameter("hash", "must be the hash of a link, as ?link=1 gives it"))
}

/// The versions in `?version=`; none if it is left out.
pub(super) fn versions(url: &Url) -> Checked<Vec<Version>> {
    versions::known(versions::split(url.parameter("version")?.unwrap_or_default()))
}

/// The version before which a list of versions goes on.
pub(super) fn before(url: &Url) -> Checked<Option<Version>> {
    let ids = versions::split(url.parameter("before")?.unwrap_or_default());
    match versions::known(ids)?.as_slice() {
        [] => Ok(None),
        [version] => Ok(Some(*version)),
        _ => Err(Problem::parameter("before", "must be one version: `next` of the page before")),
    }
}

/// A moment in milliseconds since 1970, given so or as a date and time of RFC 3339.
pub(super) fn moment(parameter: &'static str, text: &str) -> Checked<u64> {
    let wrong = || {
        Problem::parameter(
            parameter,
            "must be a time such as 2026-11-26T09:30:00Z (RFC 3339), or milliseconds since 1970",
        )
    };
    if text.len() > MAX_TIME_CHARS {
        return Err(wrong());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    rfc3339(text).ok_or_else(wrong)
}

/// A date and time of RFC 3339 in milliseconds since 1970; `None` if it is none, or lies before 1970.
fn rfc3339(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let is = |at: usize, marks: &str| text.get(at..at + 1).filter(|mark| marks.contains(*mark)).map(|_| ());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let marks = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    marks.iter().all(|(at, marks)| is(*at, marks).is_some()).then_some(())?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (millis, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let shown = fraction.get(..digits).filter(|_| digits > 0)?;
            let three = format!("{shown:0<3}");
            (three.get(..3)?.parse().ok()?, fraction.get(digits..)?)
        }
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let at = text.len().checked_sub(6)?;
            let sign = match zone.get(..1)? {
                "+" | " " => 1,
                "-" => -1,
                _ => return None,
            };
            if zone.len() != 6 {
                return None;
            }
            is(at + 3, ":")?;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
    };
    // Days since 1970 of the proleptic Gregorian calendar, counting years from March.
    let shifted = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400) + day_of_year
        - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    u64::try_from(seconds * 1000 + millis).ok()
}

/// One version in a list.
pub(super) fn item(item: &HistoryItem) -> Json {
    let mut document = json!({
        "version": item.version.to_string(),
        "author": item.author,
        "time": item.time,
        "size": item.size,
        "kind": item.kind,
    });
    if let Some(members) = document.as_object_mut() {
        if !item.paths.is_empty() {
            members.insert("paths".to_owned(), item.paths.iter().map(url_path).collect());
        }
        if item.more > 0 {
            members.insert("more".to_owned(), item.more.into());
        }
    }
    document
}

/// A strong link: what pins a state, and the URL that reads exactly it.
pub(super) fn link(space: &str, path: &Path, version: &Version, hash: &[u8; 32]) -> Json {
    let (path, hash) = (url_path(path), BASE64URL_NOPAD.encode(hash));
    let url = format!("/~/{}/{path}?version={version}&hash={hash}", percent_encode(space));
    json!({ "space": space, "path": path, "version": version.to_string(), "hash": hash, "url": url })
}

/// The point as a query, for links to other forms of the same past.
pub(super) fn query(at: &At) -> String {
    match at {
        At::Versions(versions) => format!("version={}", versions::joined(versions)),
        At::Time(millis) => format!("at={millis}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_both_forms() {
        let read = |text: &str| moment("at", text).ok();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("1764120600123"), Some(1_764_120_600_123));
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.999z", 951_868_799_999),
            ("2025-11-26T01:30:00Z", 1_764_120_600_000),
            ("2025-11-26t02:30:00.1+01:00", 1_764_120_600_100),
            ("2025-11-26T01:30:00.123456Z", 1_764_120_600_123),
            ("2025-11-25T20:00:00-05:30", 1_764_120_600_000),
            // A plus sign that a program forgot to encode reads as a space.
            ("2025-11-26T02:30:00 01:00", 1_764_120_600_000),
            ("9999-12-31T23:59:60Z", 253_402_300_800_000),
        ] {
            assert_eq!(read(text), Some(millis), "{text}");
        }
        for bad in [
            "",
            "x",
            "-1",
            "1.5",
            "99999999999999999999",
            "2025-11-26",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-11-26T24:00:00Z",
            "2025-11-26T01:30:00",
            "2025-11-26T01:30:00.Z",
            "2025-11-26T01:30:00+1:00",
            "2025-11-26T01:30:00+24:00",
            "2025-11-26T01:30:00+01:00x",
            "1969-12-31T23:59:59Z",
            "２025-11-26T01:30:00Z",
            "2025-11-26T01:30:00é1:00",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
