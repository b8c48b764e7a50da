//! Other names: events as an application's clients know them, and ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A client's event that stands for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameIn {
    /// The client's name of it.
    pub event: String,
    /// The command.
    pub is: String,
    /// The command's field that a value without an object is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare: Option<String>,
    /// An event that is sent to the client when the command is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The client's fields, by the command's. Others pass unchanged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The client's fields, by the answer's. Without, the answer is what the client sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answer_fields: BTreeMap<String, String>,
}

/// An event of the server under the client's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameOut {
    /// The event.
    pub of: String,
    /// The client's name of it.
    #[serde(rename = "as")]
    pub name: String,
    /// The event's field that is the client's data. A dot leads into an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare: Option<String>,
    /// For sessions alone that have sent one of these; empty: for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The event's fields, by the client's. Without, the data is unchanged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}
