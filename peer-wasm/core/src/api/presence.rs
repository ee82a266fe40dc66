//! Where somebody is in a value: what a client says of itself for as long as it is there.

use serde_json::Value as Json;

/// The most selections of one client.
pub const MAX_SELECTIONS: usize = 16;
/// The most bytes they may have as JSON text.
pub const MAX_SELECTIONS_BYTES: usize = 1024;
/// The most bytes a client's name may have.
pub const MAX_CLIENT_BYTES: usize = 128;

/// The selections of one client: `[{"from","to",…}]` in code points; other members (`name`) are passed on as they
/// are. None at all says that the client is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selections(Json);

impl Selections {
    /// Checks what a client says of itself. An error is the reason in plain words, to follow "A cursor".
    pub fn read(json: Json) -> Result<Selections, &'static str> {
        let Json::Array(selections) = &json else {
            return Err("is an array of selections such as {\"from\":1,\"to\":3}");
        };
        if selections.len() > MAX_SELECTIONS {
            return Err("has at most 16 selections");
        }
        let fits = |selection: &Json| {
            let point = |name: &str| selection.get(name).is_some_and(Json::is_u64);
            let name = selection.get("name").is_none_or(Json::is_string);
            point("from") && point("to") && name
        };
        if !selections.iter().all(fits) {
            return Err("has selections with the members from and to, both whole numbers, and name, a text");
        }
        if json.to_string().len() > MAX_SELECTIONS_BYTES {
            return Err("has at most 1024 bytes");
        }
        Ok(Selections(json))
    }

    /// The same from JSON text of somebody else.
    pub fn parse(text: &str) -> Option<Selections> {
        Selections::read(serde_json::from_str(text).ok()?).ok()
    }

    /// Whether the client is nowhere.
    pub fn is_empty(&self) -> bool {
        self.0.as_array().is_none_or(Vec::is_empty)
    }

    /// As JSON.
    pub fn as_json(&self) -> &Json {
        &self.0
    }
}

/// Whether this can be the name of a client: 1 to [`MAX_CLIENT_BYTES`] bytes, none of them control characters.
pub fn is_client(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_CLIENT_BYTES && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_is_checked() {
        for good in ["[]", "[{\"from\":0,\"to\":3}]", "[{\"from\":5,\"to\":1,\"name\":\"Ada\",\"more\":[1]}]"] {
            let selections = Selections::parse(good).unwrap();
            assert_eq!(*selections.as_json(), serde_json::from_str::<Json>(good).unwrap());
            assert_eq!(selections.is_empty(), good == "[]");
        }
        let long = format!("[{{\"from\":0,\"to\":0,\"name\":\"{}\"}}]", "x".repeat(MAX_SELECTIONS_BYTES));
        let many = format!("[{}]", vec!["{\"from\":0,\"to\":0}"; MAX_SELECTIONS + 1].join(","));
        let deep = format!("[{{\"from\":0,\"to\":0,\"x\":{}{}}}]", "[".repeat(500), "]".repeat(500));
        for bad in [
            "",
            "{}",
            "1",
            "[1]",
            "[{}]",
            "[{\"from\":-1,\"to\":0}]",
            "[{\"from\":0.5,\"to\":1}]",
            "[{\"from\":0,\"to\":\"1\"}]",
            "[{\"from\":0,\"to\":0,\"name\":1}]",
            "[{\"from\":0,\"to\":0}] x",
            &long,
            &many,
            &deep,
        ] {
            assert_eq!(Selections::parse(bad), None, "{bad}");
        }
        assert!(is_client("k3j9") && !is_client("") && !is_client("a\n") && !is_client(&"x".repeat(129)));
    }
}
