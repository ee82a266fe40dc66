//! Merges defaults, file, environment and flags into one [`Config`].
//!
//! The table of the defaults is the schema: its keys are the known keys, and the kind of a default tells how the text of
//! a variable is read. So a new field needs no further line here, and every error can name where the value came from.

use super::Config;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Prefix of the variables that are read.
const ENV_PREFIX: &str = "KITH_";

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What was given on the command line. Only what was given is `Some`.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// Settings by dotted key (`relay.max_circuits`), as typed.
    pub set: Vec<(String, String)>,
}

/// A configuration and what was odd about its sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged configuration; its rules hold.
    pub config: Config,
    /// Sentences worth a warning, e.g. about a variable that is no setting.
    pub warnings: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {why}")]
    Read {
        /// The file as given.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML:\n{why}")]
    Syntax {
        /// The file as given.
        path: PathBuf,
        /// Line, column and reason.
        why: String,
    },
    /// A key nobody knows.
    #[error("unknown key `{key}` in {origin}{hint}")]
    Unknown {
        /// Dotted key.
        key: String,
        /// File, variable or flag.
        origin: String,
        /// A known key that looks alike, or nothing.
        hint: String,
    },
    /// A value of the wrong kind or form.
    #[error("`{key}` from {origin}: {why}")]
    Value {
        /// Dotted key.
        key: String,
        /// File, variable or flag.
        origin: String,
        /// What is wrong with it.
        why: String,
    },
    /// Values that do not fit together.
    #[error("the configuration does not hold together:\n  {}", .0.join("\n  "))]
    Rules(Vec<String>),
    /// The effective configuration cannot be written as TOML.
    #[error("cannot write the configuration as TOML: {0}")]
    Print(String),
}

/// Merges defaults < file < `KITH_*` of `env` < flags and checks the result.
///
/// A variable's name is the key in capitals with `_` for `.`: `relay.max_circuits` is `KITH_RELAY_MAX_CIRCUITS`.
/// `KITH_CONFIG` names the file when `--config` does not. Lists are separated by commas.
///
/// # Errors
/// [`ConfigError`], naming key and source.
pub fn load(flags: &Flags, env: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let mut merged = defaults()?;
    let known = dotted_keys(&merged);
    let env: Vec<(String, String)> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();

    let from_env = env.iter().find(|(name, _)| name == "KITH_CONFIG").map(|(_, path)| PathBuf::from(path));
    if let Some(path) = flags.config.clone().or(from_env) {
        let table = read_file(&path)?;
        merge_file(&mut merged, table, "", &path.display().to_string(), &known)?;
    }

    let mut warnings = Vec::new();
    for (name, text) in env {
        match known.iter().find(|key| env_name(key) == name) {
            Some(key) => put_text(&mut merged, key, &text, &name)?,
            None if name == "KITH_CONFIG" => {}
            None => warnings.push(format!("the variable {name} is no setting of the relay; it is not used")),
        }
    }
    for (key, text) in &flags.set {
        if !known.contains(key) {
            return Err(unknown(key, "the command line", &known));
        }
        put_text(&mut merged, key, text, &format!("the flag for {key}"))?;
    }

    let config = read_config(merged, "the merged configuration")?;
    config.validate().map_err(ConfigError::Rules)?;
    Ok(Loaded { config, warnings })
}

/// The variable that sets a dotted key.
fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn defaults() -> Result<Table, ConfigError> {
    Table::try_from(Config::default()).map_err(|error| ConfigError::Print(error.to_string()))
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let fail = |why: String| ConfigError::Read { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(fail(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax { path: path.into(), why: error.to_string() })
}

/// All keys of the schema, dotted, sections left out.
fn dotted_keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => keys.extend(dotted_keys(inner).into_iter().map(|rest| format!("{key}.{rest}"))),
            _ => keys.push(key.clone()),
        }
    }
    keys
}

/// Lays a file's table over `merged`, one key at a time so that the first bad one can be named.
fn merge_file(
    merged: &mut Table,
    file: Table,
    prefix: &str,
    origin: &str,
    known: &[String],
) -> Result<(), ConfigError> {
    for (key, value) in file {
        let dotted = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let is_section = known.iter().any(|k| k.strip_prefix(&dotted).is_some_and(|rest| rest.starts_with('.')));
        match value {
            Value::Table(inner) if is_section => merge_file(merged, inner, &dotted, origin, known)?,
            _ if is_section => {
                let why = format!("is a section; write [{dotted}] and its keys below it");
                return Err(ConfigError::Value { key: dotted, origin: origin.into(), why });
            }
            value if known.contains(&dotted) => put(merged, &dotted, value, origin)?,
            _ => return Err(unknown(&dotted, origin, known)),
        }
    }
    Ok(())
}

/// Reads `text` as the kind of value the key has and puts it.
fn put_text(merged: &mut Table, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
    let fail = |why: &str| ConfigError::Value { key: key.into(), origin: origin.into(), why: why.into() };
    let value = match get(merged, key) {
        Some(Value::Integer(_)) => {
            Value::Integer(text.trim().replace('_', "").parse().map_err(|_| fail("expected a whole number"))?)
        }
        Some(Value::Boolean(_)) => Value::Boolean(text.trim().parse().map_err(|_| fail("expected `true` or `false`"))?),
        Some(Value::Array(_)) => Value::Array(
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.into()).collect(),
        ),
        _ => Value::String(text.into()),
    };
    put(merged, key, value, origin)
}

/// Replaces the value at a dotted key and checks at once that a [`Config`] can still be read.
fn put(merged: &mut Table, key: &str, value: Value, origin: &str) -> Result<(), ConfigError> {
    let (section, name) = match key.split_once('.') {
        Some((section, name)) => (merged.get_mut(section).and_then(Value::as_table_mut), name),
        None => (Some(&mut *merged), key),
    };
    if let Some(section) = section {
        section.insert(name.into(), value);
    }
    read_config(merged.clone(), origin).map(drop).map_err(|error| match error {
        ConfigError::Value { why, .. } => ConfigError::Value { key: key.into(), origin: origin.into(), why },
        other => other,
    })
}

fn get<'a>(merged: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((section, name)) => merged.get(section)?.get(name),
        None => merged.get(key),
    }
}

fn read_config(table: Table, origin: &str) -> Result<Config, ConfigError> {
    Config::deserialize(Value::Table(table)).map_err(|error| ConfigError::Value {
        key: String::new(),
        origin: origin.into(),
        why: error.message().trim().to_owned(),
    })
}

fn unknown(key: &str, origin: &str, known: &[String]) -> ConfigError {
    let last = |k: &str| k.rsplit('.').next().unwrap_or(k).to_owned();
    let alike = known
        .iter()
        .map(|k| (distance(k, key).min(distance(&last(k), &last(key)) + 1), k))
        .min()
        .filter(|(far, _)| *far <= 3);
    let hint = alike.map(|(_, k)| format!("; did you mean `{k}`?")).unwrap_or_default();
    ConfigError::Unknown { key: key.into(), origin: origin.into(), hint }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut previous = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let replace = previous + usize::from(x != y);
            previous = *cell;
            left = replace.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
