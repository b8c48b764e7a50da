//! Layers of settings, from the compiled-in file to the environment.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Settings;

/// The documented sample, which has every default.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Prefix of environment variables that are settings.
const PREFIX: &str = "FRONTDESK__";
/// Prefix of environment variables that may be meant as settings.
const START: &str = "FRONTDESK_";

/// Failure to load the settings. Sentences for the operator, which name the key.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Malformed(String),
    #[error("{0} is no setting; config/default.toml explains those that there are")]
    UnknownVariable(String),
    /// The name that was found, and the one that was probably meant.
    #[error("{0} is not read; the setting is {1}, with two underscores each")]
    Misspelled(String, String),
    #[error("{0} is not UTF-8")]
    NotUnicode(String),
    /// A sentence a line.
    #[error("{0}")]
    Invalid(String),
}

impl Settings {
    /// Loads the defaults, over them the file, over them this process's environment.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, an invalid value.
    pub fn load(config: Option<&Path>) -> Result<Self, SettingsError> {
        let toml = match config {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| SettingsError::Unreadable { path: path.to_owned(), error })?,
            None => String::new(),
        };
        Self::load_from(&toml, environment()?.into_iter())
    }

    /// As [`Settings::load`], from a file's text and given variables.
    ///
    /// # Errors
    /// The same ones.
    pub fn load_from(
        toml: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults = layered(toml_layers("").build())?;
        let known = keys(&defaults);
        let mut variables = HashMap::new();
        for (name, value) in env {
            if !is_ours(&name) {
                if let Some(meant) = meant(&name, &known) {
                    return Err(SettingsError::Misspelled(name, meant));
                }
                continue;
            }
            // `config` would name the key, but not say that it was a variable.
            let key =
                name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase().replace("__", ".");
            if !known.contains(&key) {
                return Err(SettingsError::UnknownVariable(name));
            }
            variables.insert(name, value);
        }
        // No `try_parsing`: it would convert a secret of digits to a number.
        let environment =
            Environment::with_prefix("FRONTDESK").separator("__").source(Some(variables));
        let mut settings = layered(toml_layers(toml).add_source(environment).build())?;
        let problems = settings.problems();
        if problems.is_empty() {
            settings.normalize();
            Ok(settings)
        } else {
            Err(SettingsError::Invalid(problems.join("\n")))
        }
    }
}

fn toml_layers(toml: &str) -> config::ConfigBuilder<config::builder::DefaultState> {
    Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(toml, FileFormat::Toml))
}

fn layered(config: Result<Config, ConfigError>) -> Result<Settings, SettingsError> {
    config
        .and_then(Config::try_deserialize)
        .map_err(|error| SettingsError::Malformed(without_excerpt(&error.to_string())))
}

/// A TOML error's text without the quoted lines of the file, which may contain a secret.
fn without_excerpt(error: &str) -> String {
    let quotes = |line: &str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    let lines: Vec<_> = error.lines().filter(|line| !quotes(line)).collect();
    lines.join(": ")
}

/// Every existing `section.key`, set or not.
pub(super) fn keys(settings: &Settings) -> Vec<String> {
    let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(settings) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (section, values) in &sections {
        for (key, _) in values.as_object().into_iter().flatten() {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

/// This process's variables with our prefix. `env::vars` would panic at any that is not UTF-8.
fn environment() -> Result<Vec<(String, String)>, SettingsError> {
    let mut variables = Vec::new();
    for (name, value) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START)) {
            let value = match value.into_string() {
                Ok(value) => value,
                Err(_) if is_ours(&name) => return Err(SettingsError::NotUnicode(name)),
                Err(_) => String::new(),
            };
            variables.push((name, value));
        }
    }
    Ok(variables)
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The variable that is probably meant by a name with our prefix but without its underscores.
fn meant(name: &str, known: &[String]) -> Option<String> {
    let plain = |text: &str| text.replace(['_', '.'], "").to_lowercase();
    let name = plain(name);
    let key = known.iter().find(|key| name.strip_prefix("frontdesk") == Some(&*plain(key)))?;
    Some(format!("{PREFIX}{}", key.to_uppercase().replace('.', "__")))
}

/// A list: an array in a file, or one text with commas in the environment.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or a text with commas")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.contains(['"', '\'']) || text.trim_start().starts_with('[') {
                return Err(E::custom(
                    "a list here is a text with commas, as in a,b, without brackets or quotes",
                ));
            }
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List)
}

/// Tables: an array of them in a file, or the text of a JSON array in the environment.
pub(super) fn tables<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Tables<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Tables<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of tables, or the text of a JSON array of objects")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.trim().is_empty() {
                return Ok(Vec::new());
            }
            serde_json::from_str(text).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }
    }

    deserializer.deserialize_any(Tables(PhantomData))
}
