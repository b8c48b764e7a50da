//! What joins the nodes of one deployment. The database is the truth; what comes from here are
//! hints, and losing one costs time alone.

mod neighbours;

pub use neighbours::Neighbours;
