//! The web pages' files: read, joined, compressed and named once, at the start.
//!
//! The files lie in the folder `web` of the repository and are part of the program. All scripts and
//! styles have addresses below one folder, whose name is a hash of everything in it: a browser keeps
//! them for ever, and a new version has new addresses.

mod join;
mod site;
mod slim;

pub use join::JoinError;
pub use site::{File, Kind, Site, SiteError};
