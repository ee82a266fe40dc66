//! Strict reading of JSON: what two readers could understand differently is refused.

use super::limits::MAX_JSON_DEPTH;
use super::problem::{Checked, Kind, Problem};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use std::fmt;

/// The JSON value in these bytes, if it is one and only one, without duplicate names, nested at most
/// [`MAX_JSON_DEPTH`] deep, with every number within what a double or a 64-bit integer can hold.
pub(super) fn read(bytes: &[u8]) -> Checked<Json> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(invalid("The body is empty where JSON was expected.", 1, 1));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = parsed.map_err(|error| {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let detail = format!("The JSON cannot be taken: {what} (line {}, column {}).", error.line(), error.column());
        invalid(&detail, error.line(), error.column())
    })?;
    match wide_integer(bytes) {
        Some((line, column)) => Err(invalid(
            &format!(
                "The whole number at line {line}, column {column} is larger than 64 bits can hold. Send it as a string."
            ),
            line,
            column,
        )),
        None => Ok(value),
    }
}

fn invalid(detail: &str, line: usize, column: usize) -> Box<Problem> {
    Problem::new(Kind::InvalidJson, detail).with("line", line).with("column", column)
}

/// Where the first whole number stands that no 64-bit integer can hold, in bytes known to be JSON.
fn wide_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut line, mut start) = (1, 0);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(inside) = bytes.get(at) {
                    match inside {
                        b'\\' => at += 2,
                        b'"' => break,
                        _ => at += 1,
                    }
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest
                    .iter()
                    .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .unwrap_or(rest.len());
                let text = std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or_default();
                if !text.contains(['.', 'e', 'E']) && text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
                    return Some((line, at - start + 1));
                }
                at += length;
            }
            b'\n' => {
                line += 1;
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    None
}

/// Builds a value, counting how deep it is.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth < MAX_JSON_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(E::custom(format_args!("arrays and objects may be nested at most {MAX_JSON_DEPTH} deep")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A member's name.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.contains('\0') {
            return Err(D::Error::custom("a name must not hold a NUL character"));
        }
        Ok(Name(name))
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { depth })? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut object = Map::new();
        while let Some(Name(name)) = members.next_key()? {
            let value = members.next_value_seed(Strict { depth })?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the name {name:?} is there twice")));
            }
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_json_can_say() {
        for text in [
            "null",
            " true\n",
            "0",
            "-0",
            "-9223372036854775808",
            "18446744073709551615",
            "1e300",
            "1.5E-7",
            "12345678901234567890123.0",
            "\"\\u00e9\\\"99999999999999999999\"",
            "[]",
            "{\"a\":{\"a\":[1,{\"a\":2}]},\"\":0}",
        ] {
            let expected: Json = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
        assert_eq!(read(b"0.1234567890123456789").unwrap().to_string(), "0.12345678901234568");
        // Off by one unit in the last place without correctly rounded reading.
        assert_eq!(
            read(b"5.764607523034235e22").unwrap().as_f64().unwrap().to_bits(),
            5.764607523034235e22f64.to_bits()
        );
    }

    #[test]
    fn refuses_what_readers_disagree_on_and_says_where() {
        let place = |text: &str| {
            let document = read(text.as_bytes()).unwrap_err().document();
            (document["line"].as_u64().unwrap(), document["column"].as_u64().unwrap())
        };
        assert_eq!(place("{\n \"a\": tru}"), (2, 10));
        assert_eq!(place("{\"a\":1,\n\"a\":2}").0, 2);
        assert_eq!(place("[1,\n  18446744073709551616]"), (2, 3));
        for bad in [
            "",
            " ",
            "{",
            "1 2",
            "nul",
            "[1,]",
            "{\"a\":1,\"b\":{\"c\":0,\"c\":0}}",
            "18446744073709551616",
            "-9223372036854775809",
            "1e400",
            "\"\\ud800\"",
            "{\"\\u0000\":1}",
            "\u{feff}1",
            "NaN",
            "01",
            "'a'",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(b"\"\xff\"").is_err());
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(read(nested(MAX_JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(read(nested(100_000).as_bytes()).is_err());
    }
}
