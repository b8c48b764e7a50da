//! Settings of Redis.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// The Redis between the nodes. Off without a URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:password@host:port`, or `rediss://`.
    pub url: Option<Secret>,
    /// PEM; for `rediss://` only.
    pub ca_file: Option<PathBuf>,
    /// Prefix of the channels.
    pub prefix: String,
}
