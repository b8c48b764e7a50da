//! State of the connections that read, for metrics.

/// Connections that read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    pub busy: usize,
    pub idle: usize,
    /// Reads that wait for one.
    pub waiting: usize,
}
